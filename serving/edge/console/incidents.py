"""The page of incidents: what went wrong, who looks after it, and the form by which somebody does."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from domain.case import CaseState
from domain.errors import TellergateError
from domain.incident import Incident
from serving.edge.access import UsedServices, form_for, page_for
from serving.edge.api.incidents import INCIDENT_KEEPERS, INCIDENT_READERS
from serving.edge.problems import status_of
from serving.edge.services import Services
from serving.edge.sessions import SignedIn
from storage.incidents import acknowledge_incident, list_incidents

router = APIRouter()
Reader = Annotated[SignedIn, Depends(page_for(*INCIDENT_READERS))]
Keeper = Annotated[SignedIn, Depends(form_for(*INCIDENT_KEEPERS))]


@router.get("/incidents")
def show_incidents(signed_in: Reader, services: UsedServices) -> Response:
    """Show open incidents, and the latest closed ones."""
    return _page(services, signed_in)


@router.post("/incidents/{case_id}/ack")
async def post_acknowledgement(
    case_id: str, signed_in: Keeper, services: UsedServices, note: Annotated[str, Form(max_length=1000)] = ""
) -> Response:
    """Take an incident in hand, and show the page as it is afterwards."""
    fault: TellergateError | None = None
    try:
        await run_in_threadpool(_acknowledge, services, signed_in, case_id, note)
    except TellergateError as error:
        fault = error
    return await run_in_threadpool(_page, services, signed_in, fault=fault)


def _acknowledge(services: Services, signed_in: SignedIn, case_id: str, note: str) -> None:
    with services.deps.database.work(signed_in.tenant_id) as connection:
        acknowledge_incident(connection, case_id, operator_id=signed_in.operator_id, note=note, now=services.deps.clock.now())


def _page(services: Services, signed_in: SignedIn, *, fault: TellergateError | None = None) -> Response:
    with services.deps.database.work(signed_in.tenant_id) as connection:
        standing: list[Incident] = list_incidents(connection, state=CaseState.OPEN)
        ended = list_incidents(connection, state=CaseState.CLOSED, limit=20)
    return services.pages.page(
        "incidents.html",
        signed_in=signed_in,
        now=services.deps.clock.now(),
        status=200 if fault is None else status_of(fault),
        standing=standing,
        ended=ended,
        may_acknowledge=signed_in.has(*INCIDENT_KEEPERS),
        fault=fault,
        active="incidents",
    )
