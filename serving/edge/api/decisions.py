"""Decisions and receipts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from serving.edge.access import DECISION_ROLES, UsedServices, call_for
from serving.edge.api.schemas import DecisionOut
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["decisions"])
Reader = Annotated[SignedIn, Depends(call_for(*DECISION_ROLES))]


@router.get("/decisions/{decision_id}", operation_id="getDecision")
async def get_decision(decision_id: str, caller: Reader, services: UsedServices) -> DecisionOut:
    """Return one decision with its reasons, posting, review and receipt state."""
    return DecisionOut.of(await services.deps.money.find_decision(caller.tenant_id, decision_id))


@router.post("/proposals/{proposal_id}/decide", operation_id="decideProposal")
async def decide_proposal(proposal_id: str, caller: Reader, services: UsedServices) -> DecisionOut:
    """Ask the gate for its decision. Idempotent: a decided proposal returns its decision."""
    return DecisionOut.of(await services.deps.money.decide(caller.tenant_id, proposal_id))


@router.get(
    "/receipts/{decision_id}", operation_id="getReceipt", responses={202: {"description": "not placed in the log yet: ask again"}}
)
async def get_receipt(decision_id: str, caller: Reader, services: UsedServices) -> Response:
    """Return the receipt of a decision, for `tellergate verify`."""
    receipt = await services.exports.find_receipt(services.deps.money, tenant_id=caller.tenant_id, decision_id=decision_id)
    if receipt is None:
        return JSONResponse({"state": "pending"}, status_code=202, headers={"Retry-After": "1"})
    return Response(receipt, media_type="application/json")


@router.get("/receipt-key", operation_id="getReceiptKey", response_class=PlainTextResponse)
async def get_receipt_key(services: UsedServices) -> PlainTextResponse:
    """Return the public key that receipts verify with. Not a secret."""
    return PlainTextResponse(await services.deps.money.read_public_key() + "\n")
