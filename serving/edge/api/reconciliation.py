"""Statements in, how reconciliation stands, open breaks, and matches taken back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from domain.case import Case
from domain.errors import Unavailable
from domain.ids import require_id
from domain.roles import Role
from ledger.reconciliation.importing import ImportReport, read_report
from ledger.reconciliation.overview import list_account_status, list_break_counts, list_breaks
from ledger.reconciliation.rules import BreakKind
from serving.edge.access import UsedServices, call_for
from serving.edge.reconciliation_client import ReconciliationClient
from serving.edge.services import Services
from serving.edge.sessions import SignedIn
from serving.edge.uploads import stored_upload
from storage.cases import list_ageing

router = APIRouter(tags=["reconciliation"])
Writer = Annotated[SignedIn, Depends(call_for(Role.ADMIN))]
Reader = Annotated[SignedIn, Depends(call_for(Role.APPROVER, Role.AUDITOR, Role.ADMIN))]
LedgerCode = Annotated[str, Field(pattern=r"^(house|customer|escrow):[^\x00-\x1f]{1,190}$", examples=["house:refunds:EUR"])]
_FILE_BODY: dict[str, Any] = {"requestBody": {"content": {"text/csv": {}, "application/xml": {}}, "required": True}}


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JobsNotConnected(Unavailable):
    """Say that this edge was started without a way to the jobs process."""

    code = "jobs_not_connected"


class MappingBody(_Wire):
    """Say which ledger account a bank's account is. `mirrored`: the bank's credit is a debit there."""

    account: Annotated[str, Field(min_length=1, max_length=100, description="As the statement writes it, such as an IBAN")]
    code: LedgerCode
    mirrored: bool = False


class MappingOut(_Wire):
    """A mapping as it was set; of the bank's account only its last characters."""

    account: str
    code: str
    mirrored: bool


class UnmatchBody(_Wire):
    """Say why a match is taken back."""

    reason: Annotated[str, Field(min_length=1, max_length=300)]


class RunOut(_Wire):
    """What one run changed: matches by rule, breaks that came up by kind, cases that settled themselves."""

    matched: dict[str, int]
    opened: dict[str, int]
    settled: int


class AccountOut(_Wire):
    """How one account stands. Statements reach up to `stated_until`, without it."""

    code: str
    currency: str
    statements: int
    stated_until: datetime
    imported_at: datetime
    lines: int
    open_lines: int


class BreakCountOut(_Wire):
    """The open breaks of one kind on one account; `amount_minor` sums them without their signs."""

    code: str
    kind: str
    currency: str
    breaks: int
    amount_minor: int
    overdue: int
    oldest_at: datetime


class AgeingOut(_Wire):
    """How many cases have waited how long."""

    kind: str
    bucket: str
    cases: int
    overdue: int
    oldest_at: datetime


class StatusOut(_Wire):
    """How reconciliation stands."""

    accounts: list[AccountOut]
    breaks: list[BreakCountOut]
    ageing: list[AgeingOut]


class BreakPage(_Wire):
    """One page, oldest first; ask again with `after` = `next_after` for more, until it is null."""

    items: list[Case]
    next_after: str | None


@router.post("/statements", operation_id="importStatement", openapi_extra=_FILE_BODY)
async def import_statement(
    request: Request,
    caller: Writer,
    services: UsedServices,
    *,
    file_format: Annotated[Literal["csv", "camt053"], Query(alias="format")],
    account: Annotated[
        LedgerCode | None, Query(description="The ledger account, where the statement's is not mapped yet")
    ] = None,
    mirrored: Annotated[bool, Query(description="The bank's credit is a debit on that account")] = False,
    decimal_comma: Annotated[bool, Query(description="CSV: 12,90 and not 12.90")] = False,
) -> ImportReport:
    """Take a statement in and match it. Idempotent by the file's digest; bad lines go to quarantine with line and reason."""
    async with stored_upload(request, services, file_format) as file_name:
        answer = await _ask_jobs(
            services,
            caller,
            "/v1/statements",
            file_name=file_name,
            file_format=file_format,
            code=account,
            mirrored=mirrored,
            decimal_comma=decimal_comma,
        )
    return read_report(answer)


@router.post("/reconciliation/mappings", operation_id="mapStatementAccount")
async def map_statement_account(body: MappingBody, caller: Writer, services: UsedServices) -> MappingOut:
    """Map a bank's account to a ledger account from now on; statements that are in stay where they are."""
    return MappingOut(**await _ask_jobs(services, caller, "/v1/statement-accounts", **body.model_dump()))


@router.post("/reconciliation/lines/{line_id}/unmatch", operation_id="unmatchStatementLine")
async def unmatch_statement_line(line_id: str, body: UnmatchBody, caller: Writer, services: UsedServices) -> RunOut:
    """Take the match of a line back. No rule matches the pair again; what is open then is a break."""
    line_id = require_id(line_id, "stl")
    return RunOut(**await _ask_jobs(services, caller, "/v1/statement-lines/unmatch", line_id=line_id, reason=body.reason))


@router.get("/reconciliation/status", operation_id="getReconciliationStatus")
def get_reconciliation_status(caller: Reader, services: UsedServices) -> StatusOut:
    """Return how accounts and breaks stand."""
    now = services.deps.clock.now()
    with services.deps.database.work(caller.tenant_id) as connection:
        accounts, breaks = list_account_status(connection), list_break_counts(connection, now)
        ageing = [line for line in list_ageing(connection, now) if line.kind == "reconciliation_break"]
    return StatusOut(
        accounts=[AccountOut(**asdict(item)) for item in accounts],
        breaks=[BreakCountOut(**asdict(item)) for item in breaks],
        ageing=[AgeingOut(**asdict(item)) for item in ageing],
    )


@router.get("/reconciliation/breaks", operation_id="listBreaks")
def list_open_breaks(
    caller: Reader,
    services: UsedServices,
    account: Annotated[LedgerCode | None, Query()] = None,
    kind: Annotated[BreakKind | None, Query()] = None,
    after: Annotated[str | None, Query(max_length=40, description="`next_after` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> BreakPage:
    """List open breaks."""
    place = None if after is None else require_id(after, "cas")
    with services.deps.database.work(caller.tenant_id) as connection:
        items = list_breaks(connection, code=account, kind=kind, after=place, limit=limit)
    return BreakPage(items=items, next_after=items[-1].case_id if len(items) == limit else None)


async def _ask_jobs(services: Services, caller: SignedIn, path: str, **body: Any) -> dict[str, Any]:
    return await client_of(services).send(path, {"tenant_id": caller.tenant_id, "operator_id": caller.operator_id, **body})


def client_of(services: Services) -> ReconciliationClient:
    """Return the way to the jobs process. Raises: JobsNotConnected."""
    if services.deps.reconciliation is None:
        raise JobsNotConnected("this edge was started without a way to the process that takes files in")
    return services.deps.reconciliation
