"""Reviews: what waits for a person, who holds it, verdicts, and what they taught."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from domain.roles import Role
from serving.edge.access import REVIEW_ROLES, UsedServices, call_for
from serving.edge.api.conversations import IdempotencyKey
from serving.edge.api.schemas import DecisionOut, ReviewList, VerdictBody
from serving.edge.money_client import Verdict
from serving.edge.money_views import ClaimView, ReviewStats
from serving.edge.services import Services
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["reviews"])
Reviewer = Annotated[SignedIn, Depends(call_for(*REVIEW_ROLES))]
Exporter = Annotated[SignedIn, Depends(call_for(Role.AUDITOR, Role.ADMIN))]


@router.get("/reviews", operation_id="listOpenReviews")
async def list_open_reviews(caller: Reviewer, services: UsedServices) -> ReviewList:
    """List what waits for a person: escalated first, then the riskiest. `groups` is the same with floods as one item."""
    money = services.deps.money
    items = [DecisionOut.of(view) for view in await money.list_open_reviews(caller.tenant_id)]
    return ReviewList(items=items, groups=list(await money.list_queue(caller.tenant_id)))


@router.get("/reviews/stats", operation_id="getReviewStats")
async def get_stats(caller: Reviewer, services: UsedServices) -> ReviewStats:
    """Return how often people overruled each rule and model, and how fast each person answered."""
    return await services.deps.money.read_stats(caller.tenant_id)


@router.get("/reviews/labels", operation_id="listReviewLabels")
async def list_labels(
    caller: Exporter, services: UsedServices, after: Annotated[str, Query(max_length=40)] = ""
) -> dict[str, Any]:
    """Return verdicts as labels for evaluation (docs/schemas/review-outcome.schema.json), page by page by `next_after`."""
    return await services.deps.money.ask("GET", "/v1/reviews/labels", tenant_id=caller.tenant_id, params={"after": after})


@router.post("/reviews/{review_id}/claim", operation_id="claimReview")
async def claim_review(review_id: str, caller: Reviewer, services: UsedServices) -> ClaimView:
    """Take a review for 15 minutes; nobody else can answer it meanwhile."""
    return await services.deps.money.claim(caller.tenant_id, review_id, caller.token, act="claim")


@router.post("/reviews/{review_id}/release", operation_id="releaseReview")
async def release_review(review_id: str, caller: Reviewer, services: UsedServices) -> ClaimView:
    """Give it back before its time is over."""
    return await services.deps.money.claim(caller.tenant_id, review_id, caller.token, act="release")


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
