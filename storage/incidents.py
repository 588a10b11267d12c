"""Incidents: the cases that say that something of ours went wrong, in one list, and the person who looks after each."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from domain.case import INCIDENT_KINDS, Case, CaseKind, CaseState
from domain.errors import Conflict, InvalidInput, NotFound
from domain.event import Event
from domain.ids import make_id, require_id
from domain.incident import Acknowledgement, Incident, runbook_of
from storage.events import append_event
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "incidents.sql")
_MAX_NOTE_BYTES = 1000


class IncidentNotFound(NotFound):
    """Say that the tenant has no such incident."""

    code = "incident_not_found"


class AlreadyAcknowledged(Conflict):
    """Say that somebody else looks after the incident."""

    code = "already_acknowledged"


def list_incidents(
    connection: Connection[Any], *, state: CaseState | None = CaseState.OPEN, kind: CaseKind | None = None, limit: int = 200
) -> list[Incident]:
    """Return incidents: open ones that nobody acknowledged first, then the latest."""
    kinds = INCIDENT_KINDS if kind is None else INCIDENT_KINDS & {kind}
    return _read(connection, kinds=kinds, state=state, limit=limit)


def require_incident(connection: Connection[Any], case_id: str) -> Incident:
    """Return one incident. Raises: IncidentNotFound, InvalidId."""
    found = _read(connection, kinds=INCIDENT_KINDS, case_id=require_id(case_id, "cas"), limit=1)
    if not found:
        raise IncidentNotFound(f"there is no incident {case_id} in this workspace")
    return found[0]


def acknowledge_incident(connection: Connection[Any], case_id: str, *, operator_id: str, note: str, now: datetime) -> Incident:
    """Note that a person looks after an incident, with the event `incident.acknowledged`. Whether he may is the caller's check.

    Idempotency: the same person again gets what stands. Raises: IncidentNotFound, AlreadyAcknowledged, InvalidInput.
    """
    words = note.strip()
    if not words or not words.isprintable() or len(words.encode()) > _MAX_NOTE_BYTES:
        raise InvalidInput(f"say what you do about it, in one line of at most {_MAX_NOTE_BYTES} bytes", code="note_missing")
    incident = require_incident(connection, case_id)
    parameters = {"case_id": case_id, "acknowledged_by": operator_id, "now": now, "note": words}
    if connection.execute(_QUERIES["insert_acknowledgement"], parameters).fetchone() is not None:
        append_event(connection, _acknowledged_event(incident.case, operator_id, now))
    standing = require_incident(connection, case_id)
    assert standing.acknowledgement is not None
    if standing.acknowledgement.acknowledged_by != operator_id:
        raise AlreadyAcknowledged(f"{standing.acknowledgement.acknowledged_by} acknowledged it and looks after it")
    return standing


def _read(
    connection: Connection[Any],
    *,
    kinds: frozenset[CaseKind],
    limit: int,
    state: CaseState | None = None,
    case_id: str | None = None,
) -> list[Incident]:
    parameters = {"kinds": sorted(kind.value for kind in kinds), "state": state, "case_id": case_id, "limit": limit}
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_incident_of(row) for row in cursor.execute(_QUERIES["list_incidents"], parameters)]


def _incident_of(row: dict[str, Any]) -> Incident:
    by, at, note = (row.pop(name) for name in ("acknowledged_by", "acknowledged_at", "acknowledgement_note"))
    case = Case.model_validate(row)
    acknowledgement = None if by is None else Acknowledgement(acknowledged_by=by, acknowledged_at=at, note=note)
    return Incident(case=case, acknowledgement=acknowledgement, runbook=runbook_of(case.kind))


def _acknowledged_event(case: Case, operator_id: str, now: datetime) -> Event:
    return Event(
        event_id=make_id("evt", now),
        event_type="incident.acknowledged",
        source="cases",
        subject=case.case_id,
        tenant_id=case.tenant_id,
        occurred_at=now,
        recorded_at=now,
        # The note is a person's free text: it stays out of the log that nobody can erase from.
        data={"case_id": case.case_id, "kind": case.kind.value, "acknowledged_by": operator_id},
    )
