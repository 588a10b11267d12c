"""Incidents: what went wrong in ledger, gate, log, masking or backup, and who looks after it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from domain.case import CaseKind, CaseState
from domain.incident import Incident
from domain.roles import Role
from serving.edge.access import UsedServices, call_for
from serving.edge.sessions import SignedIn
from storage.incidents import acknowledge_incident, list_incidents, require_incident

router = APIRouter(tags=["incidents"])
INCIDENT_READERS = (Role.INVESTIGATOR, Role.APPROVER, Role.AUDITOR, Role.ADMIN)
INCIDENT_KEEPERS = (Role.INVESTIGATOR, Role.APPROVER, Role.ADMIN)
Reader = Annotated[SignedIn, Depends(call_for(*INCIDENT_READERS))]
Keeper = Annotated[SignedIn, Depends(call_for(*INCIDENT_KEEPERS))]


class IncidentList(BaseModel):
    """Open incidents that nobody acknowledged first, then the latest; at most 200."""

    items: list[Incident]


class AcknowledgeBody(BaseModel):
    """What the caller does about it. The note stays with the incident; write no personal data into it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    note: Annotated[str, Field(min_length=1, max_length=1000)]


@router.get("/incidents", operation_id="listIncidents")
def list_all_incidents(
    caller: Reader,
    services: UsedServices,
    state: Annotated[Literal["open", "closed", "all"], Query()] = "open",
    kind: Annotated[CaseKind | None, Query()] = None,
) -> IncidentList:
    """List incidents."""
    wanted = None if state == "all" else CaseState(state)
    with services.deps.database.work(caller.tenant_id) as connection:
        return IncidentList(items=list_incidents(connection, state=wanted, kind=kind))


@router.get("/incidents/{case_id}", operation_id="getIncident")
def get_incident(case_id: str, caller: Reader, services: UsedServices) -> Incident:
    """Return one incident."""
    with services.deps.database.work(caller.tenant_id) as connection:
        return require_incident(connection, case_id)


@router.post("/incidents/{case_id}/ack", operation_id="acknowledgeIncident")
def post_acknowledgement(case_id: str, body: AcknowledgeBody, caller: Keeper, services: UsedServices) -> Incident:
    """Take an incident in hand, in the caller's name. The first who does keeps it; the same person again changes nothing."""
    with services.deps.database.work(caller.tenant_id) as connection:
        return acknowledge_incident(
            connection, case_id, operator_id=caller.operator_id, note=body.note, now=services.deps.clock.now()
        )
