"""Does what a row names exist, and does it belong together?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from psycopg import Connection

from domain.label import LabelSubject
from serving.ingest.kinds import KindSpec, Parent, ParentKind
from serving.ingest.reading import Problem, ReadRow
from serving.ingest.rows import IngestRow, LabelRow
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "ingest.sql")
_MAX_HELD = 200_000
_KIND_OF_SUBJECT: Mapping[LabelSubject, ParentKind] = MappingProxyType(
    {
        "transaction": "transactions",
        "dispute": "disputes",
        "customer": "customers",
        "account": "accounts",
        "card": "cards",
        "merchant": "merchants",
        "beneficiary": "beneficiaries",
    }
)
# What the find query of a kind returns after the id.
_SHARED_FIELDS = MappingProxyType(
    {
        "customers": ("customer_id",),
        "accounts": ("customer_id", "currency"),
        "cards": ("account_id",),
        "merchants": (),
        "devices": ("customer_id",),
        "beneficiaries": ("customer_id",),
        "transactions": ("account_id",),
        "disputes": (),
        "operators": (),
    }
)


class ReferenceBook:
    """Remember the records that a file's rows name, so that each is asked for once."""

    def __init__(self, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._held: dict[ParentKind, dict[str, tuple[str, ...]]] = {}

    def load(self, conn: Connection[Any], spec: KindSpec, rows: Iterable[IngestRow]) -> None:
        """Look up what these rows name and isn't known yet; one query for each kind of parent."""
        rows = tuple(rows)
        for parent in spec.parents:
            held = self._held.setdefault(parent.kind, {})
            if len(held) > _MAX_HELD:
                held.clear()
            wanted = {getattr(row, parent.field_name) for row in rows} - held.keys() - {None}
            if wanted:
                scope = {"tenant_id": self._tenant_id, "ids": sorted(wanted)}
                held.update((found[0], tuple(found[1:])) for found in conn.execute(_QUERIES[f"find_{parent.kind}"], scope))

    def add(self, kind: ParentKind, row: IngestRow, record_id: str) -> None:
        """Remember a row of this very file as a parent for later ones."""
        shared = tuple(str(getattr(row, name)) for name in _SHARED_FIELDS[kind])
        self._held.setdefault(kind, {})[record_id] = shared

    def find_fault(self, row: IngestRow, parent: Parent) -> tuple[str, str] | None:
        """Return reason code and reason when a reference of the row doesn't hold."""
        value = getattr(row, parent.field_name)
        if value is None:
            return None
        found = self._held.get(parent.kind, {}).get(value)
        if found is None:
            return "unknown_parent", f"field {parent.field_name}: no such record; load its {parent.kind} first"
        theirs = dict(zip(_SHARED_FIELDS[parent.kind], found, strict=True))
        for name in parent.must_share:
            own = self.customer_of(row) if name == "customer_id" else getattr(row, name)
            if theirs[name] != own:
                return "foreign_parent", f"field {parent.field_name}: belongs to another {name} than this row"
        return None

    def customer_of(self, row: IngestRow) -> str:
        """Return whose the regulated values of a row are: its customer, or its account's. The references must hold."""
        customer_id = getattr(row, "customer_id", None)
        return str(customer_id) if customer_id else self._held["accounts"][getattr(row, "account_id", "")][0]

    def find_customer(self, row: IngestRow) -> str | None:
        """Return whose a row is, None where it names an account that is not there."""
        is_known = getattr(row, "customer_id", None) or getattr(row, "account_id", "") in self._held.get("accounts", {})
        return self.customer_of(row) if is_known else None


def split_by_references(
    conn: Connection[Any], book: ReferenceBook, spec: KindSpec, rows: Sequence[ReadRow]
) -> tuple[list[ReadRow], list[Problem]]:
    """Return the rows whose references hold, and a problem for each of the others."""
    book.load(conn, spec, (read.row for read in rows))
    others = tuple(parent for parent in spec.parents if parent.kind != spec.kind)
    good, problems = _split(book, rows, others)
    to_own_kind = tuple(parent for parent in spec.parents if parent.kind == spec.kind)
    for parent in to_own_kind:
        for read in good:
            book.add(parent.kind, read.row, getattr(read.row, spec.key[0]))
        good, found = _split(book, good, to_own_kind)
        problems += found
    return good, problems


def _split(book: ReferenceBook, rows: Iterable[ReadRow], parents: tuple[Parent, ...]) -> tuple[list[ReadRow], list[Problem]]:
    good: list[ReadRow] = []
    problems: list[Problem] = []
    for read in rows:
        faults = (book.find_fault(read.row, parent) for parent in parents)
        fault = next((found for found in faults if found), None)
        if fault is None:
            good.append(read)
        else:
            problems.append(Problem(read.line, *fault, read.raw))
    return good, problems


def split_by_erasure(book: ReferenceBook, rows: Sequence[ReadRow], erased: frozenset[str]) -> tuple[list[ReadRow], list[Problem]]:
    """Return the rows of customers who were not erased, and a problem for each of the others: without what the row said."""
    if not erased:
        return list(rows), []
    good = [read for read in rows if book.find_customer(read.row) not in erased]
    reason = "the customer was erased: nothing of him is taken in or kept"
    gone = [Problem(read.line, "subject_erased", reason) for read in rows if book.find_customer(read.row) in erased]
    return good, gone


def split_by_username(conn: Connection[Any], tenant_id: str, rows: Sequence[ReadRow]) -> tuple[list[ReadRow], list[Problem]]:
    """Return the operators whose sign-in name is free or their own, and a problem for each of the others."""
    usernames = sorted({getattr(read.row, "username", "") for read in rows})
    found = conn.execute(_QUERIES["find_usernames"], {"tenant_id": tenant_id, "usernames": usernames})
    holders: dict[str, str] = dict(found.fetchall())
    good: list[ReadRow] = []
    problems: list[Problem] = []
    for read in rows:
        operator_id = getattr(read.row, "operator_id", "")
        if holders.setdefault(getattr(read.row, "username", ""), operator_id) == operator_id:
            good.append(read)
        else:
            problems.append(Problem(read.line, "username_taken", "field username: another operator has it", read.raw))
    return good, problems


def split_labels(conn: Connection[Any], tenant_id: str, rows: Sequence[ReadRow]) -> tuple[list[ReadRow], list[Problem]]:
    """Return the labels whose subject exists and that change no held one, and a problem for each of the others."""
    labels = [(read, read.row) for read in rows if isinstance(read.row, LabelRow)]
    subjects = _find_subjects(conn, tenant_id, [label for _, label in labels])
    scope = {"tenant_id": tenant_id, "ids": sorted({label.label_id for _, label in labels})}
    held: dict[str, dict[str, str | None]] = dict(conn.execute(_QUERIES["find_labels"], scope).fetchall())
    good: list[ReadRow] = []
    problems: list[Problem] = []
    for read, label in labels:
        if label.subject_id not in subjects[label.subject_kind]:
            kind = _KIND_OF_SUBJECT[label.subject_kind]
            problems.append(
                Problem(read.line, "unknown_parent", f"field subject_id: no such record; load its {kind} first", read.raw)
            )
        elif held.get(label.label_id, label.model_dump()) != label.model_dump():
            reason = "field label_id: a label is never changed; send a new one that is known later"
            problems.append(Problem(read.line, "label_changed", reason, read.raw))
        else:
            good.append(read)
    return good, problems


def _find_subjects(conn: Connection[Any], tenant_id: str, labels: Iterable[LabelRow]) -> Mapping[LabelSubject, frozenset[str]]:
    wanted: dict[LabelSubject, set[str]] = defaultdict(set)
    for label in labels:
        wanted[label.subject_kind].add(label.subject_id)
    return {
        subject: frozenset(
            row[0]
            for row in conn.execute(_QUERIES[f"find_{_KIND_OF_SUBJECT[subject]}"], {"tenant_id": tenant_id, "ids": sorted(ids)})
        )
        for subject, ids in wanted.items()
    }
