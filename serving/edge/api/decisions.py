"""Decisions, verdicts on reviews, receipts."""

from __future__ import annotations

import secrets
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from serving.edge.access import DECISION_ROLES, REVIEW_ROLES, UsedServices, call_for
from serving.edge.api.conversations import IdempotencyKey
from serving.edge.api.schemas import DecisionOut, ReviewList, VerdictBody
from serving.edge.money_client import Verdict
from serving.edge.services import Services
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["decisions"])
Reader = Annotated[SignedIn, Depends(call_for(*DECISION_ROLES))]
Reviewer = Annotated[SignedIn, Depends(call_for(*REVIEW_ROLES))]


@router.get("/decisions/{decision_id}", operation_id="getDecision")
async def get_decision(decision_id: str, caller: Reader, services: UsedServices) -> DecisionOut:
    """Return one decision with its reasons, posting, review and receipt state."""
    return DecisionOut.of(await services.deps.money.find_decision(caller.tenant_id, decision_id))


@router.post("/proposals/{proposal_id}/decide", operation_id="decideProposal")
async def decide_proposal(proposal_id: str, caller: Reader, services: UsedServices) -> DecisionOut:
    """Ask the gate for its decision. Idempotent: a decided proposal returns its decision."""
    return DecisionOut.of(await services.deps.money.decide(caller.tenant_id, proposal_id))


@router.get("/reviews", operation_id="listOpenReviews")
async def list_open_reviews(caller: Reviewer, services: UsedServices) -> ReviewList:
    """List what waits for a person, oldest first."""
    return ReviewList(items=[DecisionOut.of(view) for view in await services.deps.money.list_open_reviews(caller.tenant_id)])


@router.post("/reviews/{review_id}/approve", operation_id="approveReview")
async def approve_review(
    review_id: str, body: VerdictBody, caller: Reviewer, services: UsedServices, key: IdempotencyKey = None
) -> DecisionOut:
    """Approve exactly the action whose digest is given. The money process refuses proposers, other digests and other roles."""
    return await _pass_on(services, caller, review_id, "approve", body, key)


@router.post("/reviews/{review_id}/refuse", operation_id="refuseReview")
async def refuse_review(
    review_id: str, body: VerdictBody, caller: Reviewer, services: UsedServices, key: IdempotencyKey = None
) -> DecisionOut:
    """Refuse it, with a reason."""
    return await _pass_on(services, caller, review_id, "refuse", body, key)


@router.get(
    "/receipts/{decision_id}", operation_id="getReceipt", responses={202: {"description": "not placed in the log yet: ask again"}}
)
async def get_receipt(decision_id: str, caller: Reader, services: UsedServices) -> Response:
    """Return the receipt of a decision, for `tellergate verify`."""
    receipt = await services.deps.money.find_receipt(caller.tenant_id, decision_id)
    if receipt is None:
        return JSONResponse({"state": "pending"}, status_code=202, headers={"Retry-After": "1"})
    return Response(receipt, media_type="application/json")


@router.get("/receipt-key", operation_id="getReceiptKey", response_class=PlainTextResponse)
async def get_receipt_key(services: UsedServices) -> PlainTextResponse:
    """Return the public key that receipts verify with. Not a secret."""
    return PlainTextResponse(await services.deps.money.read_public_key() + "\n")


async def _pass_on(
    services: Services,
    caller: SignedIn,
    review_id: str,
    verdict: Literal["approve", "refuse"],
    body: VerdictBody,
    key: str | None,
) -> DecisionOut:
    view = await services.deps.money.give_verdict(
        caller.tenant_id,
        Verdict(
            review_id=review_id,
            verdict=verdict,
            session_token=caller.token,
            action_digest=body.action_digest,
            reason=body.reason,
            idempotency_key=key or secrets.token_urlsafe(24),
        ),
    )
    return DecisionOut.of(view)
