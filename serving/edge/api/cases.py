"""Cases: open questions that wait for a person."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from domain.case import Case, CaseKind, CaseOutcome, CaseState
from domain.ids import require_id
from domain.roles import Role
from serving.edge.access import UsedServices, call_for
from serving.edge.sessions import SignedIn
from storage.cases import close_case, list_ageing, list_cases, require_case

router = APIRouter(tags=["cases"])
Writer = Annotated[SignedIn, Depends(call_for(Role.ADMIN))]
Reader = Annotated[SignedIn, Depends(call_for(Role.APPROVER, Role.AUDITOR, Role.ADMIN))]
PersonsOutcome = Literal["corrected", "explained", "written_off", "duplicate"]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CasePage(_Wire):
    """One page, oldest first; ask again with `after` = `next_after` for more, until it is null."""

    items: list[Case]
    next_after: str | None


class CloseBody(_Wire):
    """How a case ended, and why. The note stays in the case; write no personal data into it."""

    outcome: PersonsOutcome
    note: Annotated[str, Field(max_length=1000)] = ""


class AgeingOut(_Wire):
    """How many cases of a kind have waited how long."""

    kind: str
    bucket: str
    cases: int
    overdue: int
    oldest_at: datetime


class AgeingList(_Wire):
    """How long open cases have waited."""

    items: list[AgeingOut]


@router.get("/cases", operation_id="listCases")
def list_all_cases(
    caller: Reader,
    services: UsedServices,
    state: Annotated[Literal["open", "closed", "all"], Query()] = "open",
    kind: Annotated[CaseKind | None, Query()] = None,
    after: Annotated[str | None, Query(max_length=40, description="`next_after` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> CasePage:
    """List cases."""
    place = None if after is None else require_id(after, "cas")
    wanted = None if state == "all" else CaseState(state)
    with services.deps.database.work(caller.tenant_id) as connection:
        items = list_cases(connection, state=wanted, kind=kind, after=place, limit=limit)
    return CasePage(items=items, next_after=items[-1].case_id if len(items) == limit else None)


@router.get("/cases/ageing", operation_id="getCaseAgeing")
def get_case_ageing(caller: Reader, services: UsedServices) -> AgeingList:
    """Return how long open cases have waited, by kind."""
    with services.deps.database.work(caller.tenant_id) as connection:
        lines = list_ageing(connection, services.deps.clock.now())
    return AgeingList(items=[AgeingOut(**asdict(line)) for line in lines])


@router.get("/cases/{case_id}", operation_id="getCase")
def get_case(case_id: str, caller: Reader, services: UsedServices) -> Case:
    """Return one case."""
    with services.deps.database.work(caller.tenant_id) as connection:
        return require_case(connection, case_id)


@router.post("/cases/{case_id}/close", operation_id="closeCase")
def post_close(case_id: str, body: CloseBody, caller: Writer, services: UsedServices) -> Case:
    """Close a case in the caller's name. A closed case stays closed; the same end again is the same answer."""
    with services.deps.database.work(caller.tenant_id) as connection:
        return close_case(
            connection,
            case_id,
            operator_id=caller.operator_id,
            outcome=CaseOutcome(body.outcome),
            note=body.note,
            now=services.deps.clock.now(),
        )
