"""Cut a receipt out of the log: the records of one decision, their audit paths, the newest checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
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
from storage.events import Placement, find_event, find_placement
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parents[1] / "sql" / "receipts.sql")


class UnknownDecision(NotFound):
    """Say that the tenant has no such decision."""

    code = "unknown_decision"


def export_receipt(connection: Connection[Any], decision_id: str) -> Receipt | None:
    """Return the receipt of a decision, or None while one of its records waits for its place. Role gate or auditor.

    Holds the message and proposal, the chain of decisions up to this one with what people answered, and the posting if there is
    one. Call it in one transaction. Raises: UnknownDecision, LogTampered when a record was edited after it was logged.
    """
    events = _find_events(connection, decision_id)
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


def _find_events(connection: Connection[Any], decision_id: str) -> list[Event]:
    chain = connection.execute(_QUERIES["list_decision_chain"], {"decision_id": decision_id}).fetchall()
    if not chain:
        raise UnknownDecision("no such decision")
    decisions = [_require_event(connection, row[1]) for row in chain]
    decision_ids = [row[0] for row in chain]
    reviews = connection.execute(_QUERIES["list_review_events"], {"decision_ids": decision_ids}).fetchall()
    transfer_id: UUID | None = chain[-1][2]
    linked = [*_find_sources(connection, decisions[0]), *decisions]
    linked += [_require_event(connection, _event_id_of(row[0])) for row in reviews]
    if transfer_id is not None:
        linked.append(_require_event(connection, _event_id_of(transfer_id)))
    return linked


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
