"""The HTTP face of the money process: on a Unix socket, for holders of the process token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from gates.review import Answer
from gates.review_store import ReviewState, Verdict
from serving.inner_api import open_inner_door
from serving.money.background import Background
from serving.money.service import MoneyDeps, MoneyService
from serving.money.views import DecisionView, ReviewList

_MAX_BODY_BYTES = 64 * 1024
_TenantId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
_TenantQuery = Annotated[str, Query(pattern=r"^[a-z0-9-]{1,40}$")]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DecideBody(_Body):
    """Name the tenant."""

    tenant_id: _TenantId


class AnswerBody(_Body):
    """Hold a person's answer to a review. The session token proves who he is; nobody says it for him."""

    tenant_id: _TenantId
    session_token: Annotated[str, Field(min_length=1, max_length=400, repr=False)]
    action_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reason: Annotated[str, Field(max_length=1000)]
    idempotency_key: Annotated[str, Field(min_length=1, max_length=200)]


def create_money_app(deps: MoneyDeps) -> FastAPI:
    """Make the application; the sweeper and the sequencer live as long as it does."""
    service = MoneyService(deps)
    background = Background(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Once before the first request; where the database is not up yet, the background thread goes on trying.
        await run_in_threadpool(background.install_policies)
        background.start()
        yield
        background.stop()

    app = FastAPI(title="Tellergate money", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    open_inner_door(app, process_token=deps.process_token, max_body_bytes=_MAX_BODY_BYTES)
    _add_health(app, service, background)
    _add_decisions(app, service)
    _add_reviews(app, service)
    return app


def _add_health(app: FastAPI, service: MoneyService, background: Background) -> None:
    @app.get("/healthz")
    def get_health() -> dict[str, Any]:
        codes = sorted(background.faults)
        return {"state": "degraded" if codes else "ready", "faults": codes}

    @app.get("/v1/public-key")
    def get_public_key() -> PlainTextResponse:
        return PlainTextResponse(service.deps.signer.verifier_key + "\n")


def _add_decisions(app: FastAPI, service: MoneyService) -> None:
    @app.post("/v1/proposals/{proposal_id}/decide")
    def post_decide(proposal_id: str, body: DecideBody) -> DecisionView:
        return service.decide(body.tenant_id, proposal_id)

    @app.get("/v1/proposals/{proposal_id}")
    def get_proposal(proposal_id: str, tenant_id: _TenantQuery) -> DecisionView:
        return service.view_proposal(tenant_id, proposal_id)

    @app.get("/v1/decisions/{decision_id}")
    def get_decision(decision_id: str, tenant_id: _TenantQuery) -> DecisionView:
        return service.view_decision(tenant_id, decision_id)

    @app.get("/v1/receipts/{decision_id}")
    def get_receipt(decision_id: str, tenant_id: _TenantQuery) -> Response:
        receipt = service.render_receipt(tenant_id, decision_id)
        if receipt is None:
            return JSONResponse({"state": "pending"}, status_code=202)
        # The bytes as they are: a verifier accepts the canonical form only.
        return Response(receipt, media_type="application/json")


def _add_reviews(app: FastAPI, service: MoneyService) -> None:
    @app.get("/v1/reviews")
    def get_reviews(tenant_id: _TenantQuery, state: ReviewState = "open") -> ReviewList:
        return ReviewList(reviews=tuple(service.list_reviews(tenant_id, state)))

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
