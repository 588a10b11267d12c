"""Find a customer by name or id, from memory: names stand only in the vault, so a search over them happens here."""

from __future__ import annotations

import threading
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from psycopg.rows import dict_row

from serving.edge.boundary import Boundary, RecordToken, Viewer
from serving.edge.database import EdgeDatabase
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "records.sql")
_KEEP_FOR = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class CustomerEntry:
    """Hold one line of the picker. `folded` is what a search compares."""

    customer_id: str
    name: str
    country: str
    language: str
    segment: str
    kyc_status: str
    folded: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hold the entries of one page and how many there are in all."""

    entries: tuple[CustomerEntry, ...]
    total: int


@dataclass(slots=True)
class CustomerIndex:
    """Keep the picker's lines for two minutes, for the one who was shown them: each look by another has its own audit row."""

    database: EdgeDatabase
    boundary: Boundary
    _pages: dict[Viewer, tuple[datetime, tuple[CustomerEntry, ...]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def search(self, viewer: Viewer, query: str, *, now: datetime, offset: int = 0, limit: int = 25) -> SearchResult:
        """Return customers whose name or id holds every word of the query; all of them for an empty one."""
        words = fold(query).split()
        entries = [entry for entry in self._entries(viewer, now) if all(word in entry.folded for word in words)]
        return SearchResult(tuple(entries[offset : offset + limit]), len(entries))

    def forget(self, tenant_id: str) -> None:
        """Drop what is kept of a tenant, after its records changed."""
        with self._lock:
            self._pages = {viewer: page for viewer, page in self._pages.items() if viewer.tenant_id != tenant_id}

    def _entries(self, viewer: Viewer, now: datetime) -> tuple[CustomerEntry, ...]:
        with self._lock:
            kept = self._pages.get(viewer)
            if kept is not None and now - kept[0] < _KEEP_FOR:
                return kept[1]
            entries = self._load(viewer)
            fresh = {held: page for held, page in self._pages.items() if now - page[0] < _KEEP_FOR}
            self._pages = fresh | {viewer: (now, entries)}
            return entries

    def _load(self, viewer: Viewer) -> tuple[CustomerEntry, ...]:
        with self.database.work(viewer.tenant_id) as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_QUERIES["list_customers"], {"tenant_id": viewer.tenant_id}).fetchall()
        tokens = [RecordToken(row["customer_id"], row["name_token"]) for row in rows]
        names = self.boundary.reveal_each(tokens, viewer=viewer, purpose="customer_list")
        entries = [
            CustomerEntry(
                customer_id=row["customer_id"],
                name=name,
                country=row["country"],
                language=row["language"],
                segment=row["segment"],
                kyc_status=row["kyc_status"],
                folded=f"{fold(name)} {row['customer_id'].lower()}",
            )
            for row, name in zip(rows, names, strict=True)
        ]
        return tuple(sorted(entries, key=lambda entry: (entry.folded, entry.customer_id)))


def fold(text: str) -> str:
    """Fold case and accents, so that `lopez` finds `López`."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
