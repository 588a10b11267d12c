"""Settlement batches in, where they stand, and why a payout has arrived or not."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict

from domain.roles import Role
from ledger.settlement.batch import BatchState, PayoutExplanation
from ledger.settlement.explaining import explain_payout, list_standings
from ledger.settlement.importing import SettlementReport, read_settlement_report
from serving.edge.access import DECISION_ROLES, UsedServices, call_for
from serving.edge.api.reconciliation import client_of
from serving.edge.sessions import SignedIn
from serving.edge.uploads import stored_upload

router = APIRouter(tags=["settlement"])
Writer = Annotated[SignedIn, Depends(call_for(Role.ADMIN))]
Reader = Annotated[SignedIn, Depends(call_for(*DECISION_ROLES))]
_FILE_BODY: dict[str, Any] = {"requestBody": {"content": {"application/x-ndjson": {}, "text/csv": {}}, "required": True}}


class StandingOut(BaseModel):
    """Where a batch stands: its newest step by the bank's time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_id: str
    scheme: str
    currency: str
    amount_minor: int
    item_count: int
    state: BatchState
    occurred_at: datetime
    expected_at: datetime | None
    reason_code: str | None


class StandingList(BaseModel):
    """Where the batches stand, those that changed last first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: list[StandingOut]


@router.post("/settlement/batches", operation_id="importSettlement", openapi_extra=_FILE_BODY)
async def import_settlement_file(
    request: Request,
    caller: Writer,
    services: UsedServices,
    file_format: Annotated[Literal["jsonl", "csv"], Query(alias="format")],
) -> SettlementReport:
    """Take steps of settlement batches in. Idempotent; steps come in any order, the newest by the bank's time counts."""
    async with stored_upload(request, services, file_format) as file_name:
        body = {"tenant_id": caller.tenant_id, "operator_id": caller.operator_id, "file_name": file_name}
        answer = await client_of(services).send("/v1/settlement", body | {"file_format": file_format})
    return read_settlement_report(answer)


@router.get("/settlement/batches", operation_id="listSettlementBatches")
def list_settlement_batches(
    caller: Reader,
    services: UsedServices,
    state: Annotated[BatchState | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> StandingList:
    """List batches."""
    with services.deps.database.work(caller.tenant_id) as connection:
        found = list_standings(connection, state=state, limit=limit)
    return StandingList(items=[StandingOut(**asdict(item)) for item in found])


@router.get("/settlement/explanations/{reference}", operation_id="explainPayout")
def get_explanation(
    reference: Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")], caller: Reader, services: UsedServices
) -> PayoutExplanation:
    """Return the batches that carry a payout, transfer or transaction, their steps, and how late they are."""
    with services.deps.database.work(caller.tenant_id) as connection:
        return explain_payout(connection, reference, services.deps.clock.now())
