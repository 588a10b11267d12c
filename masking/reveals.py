"""Who was shown what, for which purpose? The audit rows of the vault, and whether anybody touched them since."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from psycopg.rows import class_row

from domain.errors import InvalidInput
from masking.vault import Transact
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "reveals.sql")
_STRETCH = 5_000
MAX_PAGE = 500
_CURSOR = re.compile(r"(?P<position>[0-9]{1,18})\.(?P<reveal_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII)


class UnusableCursor(InvalidInput):
    """Say that `before` is not what a page gave."""

    code = "unusable_cursor"


@dataclass(frozen=True, slots=True)
class Reveal:
    """Hold one audit row. `token` is None where a whole set was read to mask a text, which shows it to nobody.

    `position` is the link of the chain; the rows of one call share it.
    """

    reveal_id: UUID
    position: int
    actor: str
    roles: str
    purpose: str
    scope: str
    scope_id: str
    subject_id: str
    message_id: str | None
    token: str | None
    pii_class: str | None
    shown: str
    revealed_at: datetime

    @property
    def cursor(self) -> str:
        """Return what asks for the rows after this one."""
        return f"{self.position}.{self.reveal_id}"


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """Hold what a walk over the chain found. `first_broken` is the first link that does not hold, None if all do."""

    links: int
    rows: int
    first_broken: int | None


def list_reveals(
    transact: Transact,
    *,
    tenant_id: str,
    subject_id: str | None = None,
    actor: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> Sequence[Reveal]:
    """Return the newest audit rows first. `before` is a row's `cursor`: the last one's, to read on. Raises: UnusableCursor."""
    found = _CURSOR.fullmatch(before) if before is not None else None
    if before is not None and found is None:
        raise UnusableCursor("before: not the cursor of a row; give what the page before said")
    asked: dict[str, object] = {"tenant_id": tenant_id, "subject_id": subject_id, "actor": actor, "limit": min(limit, MAX_PAGE)}
    asked |= found.groupdict() if found else {"position": None, "reveal_id": None}
    with transact(tenant_id) as conn, conn.cursor(row_factory=class_row(Reveal)) as cursor:
        return cursor.execute(_QUERIES["list_reveals"], asked).fetchall()


def verify_reveals(transact: Transact, *, tenant_id: str) -> ChainCheck:
    """Walk the whole chain, a stretch to a transaction, and stop at the first link that does not hold."""
    after = links = rows = 0
    while True:
        with transact(tenant_id) as conn:
            found = conn.execute(_QUERIES["verify_reveals"], {"after": after, "limit": _STRETCH}).fetchone()
        assert found is not None
        after, links, rows = found[0], links + found[1], rows + found[2]
        if found[3] is not None or not found[1]:
            return ChainCheck(links, rows, found[3])
