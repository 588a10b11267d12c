"""Routes of the review queue: list, claim, answer, and what reviews taught."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field

from gates.review import Answer
from gates.review_labels import ReviewLabel, list_labels, list_pace, measure_overrules
from gates.review_queue import QueueItem, claim_review, list_queue, release_review
from gates.review_store import Review, ReviewState, Verdict
from serving.money.bodies import ActingBody, TenantQuery
from serving.money.service import MoneyService
from serving.money.views import DecisionView, ReviewList
from storage.unit_of_work import unit_of_work


class AnswerBody(ActingBody):
    """Hold a person's answer to a review."""

    action_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reason: Annotated[str, Field(max_length=1000)]
    idempotency_key: Annotated[str, Field(min_length=1, max_length=200)]


class ClaimView(BaseModel):
    """Hold a review and who holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    review_id: str
    state: ReviewState
    claimed_by: str | None
    claimed_until: datetime | None


class LabelPage(BaseModel):
    """Hold one page of labels; ask again with `after` = `next_after` until it is null."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: list[ReviewLabel]
    next_after: str | None


def add_review_routes(app: FastAPI, service: MoneyService) -> None:
    """Add the routes. Those with fixed words come before the one that takes a verdict from the path."""
    _add_reading(app, service)
    _add_claims(app, service)

    @app.post("/v1/reviews/{review_id}/{verdict}")
    def post_answer(review_id: str, verdict: Verdict, body: AnswerBody) -> DecisionView:
        answer = Answer(
            review_id=review_id,
            verdict=verdict,
            session_token=body.session_token,
            action_digest=body.action_digest,
            reason=body.reason,
            idempotency_key=body.idempotency_key,
        )
        return service.answer(body.tenant_id, answer)


def _add_reading(app: FastAPI, service: MoneyService) -> None:
    @app.get("/v1/reviews")
    def get_reviews(tenant_id: TenantQuery, state: ReviewState = "open") -> ReviewList:
        return ReviewList(reviews=tuple(service.list_reviews(tenant_id, state)))

    @app.get("/v1/reviews/queue")
    def get_queue(tenant_id: TenantQuery) -> dict[str, Any]:
        scope = service.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            return {"items": [_show_item(item) for item in list_queue(connection)]}

    @app.get("/v1/reviews/stats")
    def get_stats(tenant_id: TenantQuery) -> dict[str, Any]:
        scope = service.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            rates = measure_overrules(connection)
            pace = list_pace(connection, now=service.deps.clock.now())
        return {
            "by_rule": [{**asdict(rate), "permille": rate.permille} for rate in rates.by_rule],
            "by_model": [{**asdict(rate), "permille": rate.permille} for rate in rates.by_model],
            "pace": [asdict(one) for one in pace],
        }

    @app.get("/v1/reviews/labels")
    def get_labels(
        tenant_id: TenantQuery,
        after: Annotated[str, Query(max_length=40)] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 500,
    ) -> LabelPage:
        scope = service.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            labels = list_labels(connection, after=after, limit=limit)
        return LabelPage(labels=labels, next_after=labels[-1].approval_id if len(labels) == limit else None)


def _add_claims(app: FastAPI, service: MoneyService) -> None:
    @app.post("/v1/reviews/{review_id}/claim")
    def post_claim(review_id: str, body: ActingBody) -> ClaimView:
        now = service.deps.clock.now()
        return _show_claim(claim_review(service.scope(body.tenant_id), review_id, body.session_token, now=now))

    @app.post("/v1/reviews/{review_id}/release")
    def post_release(review_id: str, body: ActingBody) -> ClaimView:
        now = service.deps.clock.now()
        return _show_claim(release_review(service.scope(body.tenant_id), review_id, body.session_token, now=now))


def _show_claim(review: Review) -> ClaimView:
    return ClaimView(
        review_id=review.review_id, state=review.state, claimed_by=review.claimed_by, claimed_until=review.claimed_until
    )


def _show_item(item: QueueItem) -> dict[str, Any]:
    return {**asdict(item), "codes": list(item.codes), "riskiest": item.riskiest.review_id}
