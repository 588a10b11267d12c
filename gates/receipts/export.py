"""Cut a receipt out of the log: the records of one decision, their audit paths, the newest checkpoint.

A receipt never leaves out what was done: of a decision that is to be carried out it shows that, or the decision that closed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection

from domain.canonical import canonical_bytes
from domain.errors import NotFound
from domain.event import Event
from domain.receipt import LoggedRecord, Receipt
from gates.receipts.log_store import find_last_checkpoint, find_nodes
from gates.receipts.sequencing import LogTampered
from gates.receipts.tree import hash_leaf, make_path, plan_path
from ledger.transfer_digest import derive_transfer_id
from storage.events import Placement, find_event, find_placement
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parents[1] / "sql" / "receipts.sql")


class UnknownDecision(NotFound):
    """Say that the tenant has no such decision."""

    code = "unknown_decision"


def export_receipt(connection: Connection[Any], decision_id: str) -> Receipt | None:
    """Return the receipt of a decision, or None while it may still be carried out or a record waits for its place.

    Holds the message and proposal, the chain of decisions up to this one with what people answered, and what was done. Roles gate
    and auditor, in one transaction. Raises: UnknownDecision, LogTampered when a record was edited after it was logged.
    """
    events = _find_events(connection, decision_id)
    if events is None:
        return None
    placements = [find_placement(connection, event.event_id) for event in events]
    checkpoint = find_last_checkpoint(connection)
    placed = [(place, event) for place, event in zip(placements, events, strict=True) if place is not None]
    if checkpoint is None or len(placed) < len(events):
        return None
    placed.sort(key=lambda pair: pair[0].position)
    size = checkpoint.tree_size
    keys = [key for place, _ in placed for element in plan_path(place.position, size) for key in element]
    nodes = find_nodes(connection, keys)
    records = tuple(
        LoggedRecord(
            record=_check_record(place, event),
            index=place.position,
            path=tuple(digest.hex() for digest in make_path(place.position, size, nodes)),
        )
        for place, event in placed
    )
    return Receipt(decision_id=decision_id, checkpoint=checkpoint.note, records=records)


def render_receipt(receipt: Receipt) -> bytes:
    """Write the one form of a receipt file that the verifier accepts: canonical JSON and a newline."""
    return canonical_bytes(receipt) + b"\n"


@dataclass(frozen=True, slots=True)
class _Link:
    """Hold one decision of a chain with its event, and the event of what was done about it."""

    decision_id: str
    event: Event
    effect: Event | None

    @property
    def is_open(self) -> bool:
        """Something is done about such a decision while nothing supersedes it, and it is not done."""
        data = self.event.data
        return self.effect is None and (
            data.get("outcome") == "allow" or (data.get("outcome") == "hold" and data.get("hold_transfer_id") is None)
        )


def _find_events(connection: Connection[Any], decision_id: str) -> list[Event] | None:
    rows = connection.execute(_QUERIES["list_decision_chain"], {"decision_id": decision_id}).fetchall()
    if not rows:
        raise UnknownDecision("no such decision")
    chain = [_read_link(connection, row) for row in rows]
    while chain[-1].is_open:
        row = connection.execute(_QUERIES["find_successor"], {"decision_id": chain[-1].decision_id}).fetchone()
        if row is None:
            return None
        chain.append(_read_link(connection, row))
    reviews = connection.execute(
        _QUERIES["list_review_events"], {"decision_ids": [link.decision_id for link in chain]}
    ).fetchall()
    linked = [*_find_sources(connection, chain[0].event)]
    linked += [event for link in chain for event in (link.event, link.effect) if event is not None]
    return linked + [_require_event(connection, _event_id_of(row[0])) for row in reviews]


def _read_link(connection: Connection[Any], row: tuple[Any, ...]) -> _Link:
    decision_id, event_id, transfer_id = row
    # What is done without money has the id that its transfer would have.
    effect = find_event(connection, _event_id_of(transfer_id or derive_transfer_id(decision_id)))
    return _Link(decision_id=decision_id, event=_require_event(connection, event_id), effect=effect)


def _find_sources(connection: Connection[Any], decision: Event) -> Sequence[Event]:
    proposal = _require_event(connection, decision.data.get("proposal_event_id"))
    message_event_id = proposal.data.get("message_event_id")
    return [proposal] if message_event_id is None else [_require_event(connection, message_event_id), proposal]


def _require_event(connection: Connection[Any], event_id: str | None) -> Event:
    event = None if event_id is None else find_event(connection, event_id)
    if event is None:
        raise LogTampered(f"event {event_id} should back a record and is not there")
    return event


def _event_id_of(event_uuid: UUID) -> str:
    return f"evt_{event_uuid.hex}"


def _check_record(place: Placement, event: Event) -> dict[str, Any]:
    record = event.to_record()
    if hash_leaf(canonical_bytes(record)) != place.leaf_hash:
        raise LogTampered(f"event {event.event_id} differs from the leaf at {place.position}")
    return record
