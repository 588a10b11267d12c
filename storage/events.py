"""The event log: rows that commit with their effect, and the gap-free order that a sequencer gives them afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from psycopg import Connection
from psycopg.rows import dict_row

from domain.canonical import digest_of
from domain.event import Event
from domain.ids import uuid_of
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "events.sql")


@dataclass(frozen=True, slots=True)
class Placement:
    """Hold an event's place in its tenant's log: the index of its leaf, from 0, and the leaf's hash (32 bytes)."""

    position: int
    event_id: str
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class WaitingEvent:
    """Hold an event that has no place yet. `ordinal` is its own on the waiting list."""

    ordinal: int
    event: Event


@dataclass(frozen=True, slots=True)
class SequencedEvent:
    """Hold an event and its place."""

    placement: Placement
    event: Event


def append_event(connection: Connection[Any], event: Event) -> None:
    """Append an event in the caller's transaction. Appending the same id twice raises psycopg.errors.UniqueViolation.

    Raises: NotCanonical.
    """
    append_events(connection, [event])


def append_events(connection: Connection[Any], events: Sequence[Event]) -> None:
    """Append events in this order in the caller's transaction, as `append_event` does."""
    rows = []
    for event in events:
        record = event.to_record()
        # An event without a canonical form would stop the sequencer for good, so it is refused here.
        digest_of(record)
        rows.append({**record, "event_id": str(uuid_of(event.event_id))})
    connection.execute(_QUERIES["insert_events"], {"events": orjson.dumps(rows).decode()})


def find_event(connection: Connection[Any], event_id: str) -> Event | None:
    """Return one event of the tenant."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_QUERIES["find_event"], {"event_id": uuid_of(event_id)}).fetchone()
    return None if row is None else _event_of(row)


def list_events_of(connection: Connection[Any], subject: str) -> list[Event]:
    """Return the events about one subject, in the order they were recorded."""
    parameters = {"subject": subject, "transfer_id": uuid_of(subject) if subject.startswith("tfr_") else None}
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_event_of(row) for row in cursor.execute(_QUERIES["list_events_of"], parameters)]


def list_events(connection: Connection[Any], *, after_position: int, limit: int) -> list[SequencedEvent]:
    """Return placed events in their order, from the one after `after_position` (-1: from the first)."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_QUERIES["list_events"], {"after_position": after_position, "limit": limit}).fetchall()
    return [_sequenced_of(row) for row in rows]


def find_placement(connection: Connection[Any], event_id: str) -> Placement | None:
    """Return where an event stands, or None while it waits for the sequencer."""
    row = connection.execute(_QUERIES["find_placement"], {"event_id": uuid_of(event_id)}).fetchone()
    return None if row is None else Placement(position=row[0], event_id=event_id, leaf_hash=bytes(row[1]))


def list_waiting_tenants(connection: Connection[Any]) -> list[str]:
    """Return the tenants with events that wait. For role gate, which may ask this without a tenant context."""
    return [str(row[0]) for row in connection.execute(_QUERIES["list_waiting_tenants"])]


def take_unsequenced(connection: Connection[Any], limit: int) -> list[WaitingEvent]:
    """Return waiting events in the order they were appended, and keep other sequencers of this tenant out till commit."""
    connection.execute(_QUERIES["lock_sequence"])
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_QUERIES["take_unsequenced"], {"limit": limit}).fetchall()
    return [WaitingEvent(ordinal=row.pop("ordinal"), event=_event_of(row)) for row in rows]


def next_position(connection: Connection[Any]) -> int:
    """Return the position that the tenant's next event gets; 0 for the first."""
    row = connection.execute(_QUERIES["next_position"]).fetchone()
    assert row is not None
    return int(row[0])


def record_positions(connection: Connection[Any], placements: Sequence[Placement], *, ordinals: Sequence[int]) -> None:
    """Place events, in order and without a gap, and take these ordinals off the waiting list. Role gate only.

    Raises: psycopg.errors.CheckViolation on a gap, psycopg.errors.UniqueViolation on an event that has a place.
    """
    parameters = {
        "ordinals": list(ordinals),
        "positions": [placement.position for placement in placements],
        "event_ids": [uuid_of(placement.event_id) for placement in placements],
        "leaf_hashes": [placement.leaf_hash for placement in placements],
    }
    connection.execute(_QUERIES["record_positions"], parameters)


def _event_of(row: Mapping[str, Any]) -> Event:
    return Event.model_validate({**row, "event_id": f"evt_{row['event_id'].hex}"})


def _sequenced_of(row: dict[str, Any]) -> SequencedEvent:
    position, leaf_hash = row.pop("position"), row.pop("leaf_hash")
    event = _event_of(row)
    return SequencedEvent(Placement(position, event.event_id, bytes(leaf_hash)), event)
