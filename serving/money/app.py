"""The HTTP face of the money process: on a Unix socket, for holders of the process token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from serving.inner_api import open_inner_door
from serving.money.background import Background
from serving.money.digest import add_digest_routes
from serving.money.explain import add_explain_routes
from serving.money.features import add_feature_routes
from serving.money.freezes import add_freeze_routes
from serving.money.policies import add_policy_routes
from serving.money.receipts import add_receipt_routes
from serving.money.registry import add_registry_routes
from serving.money.reviews import add_review_routes
from serving.money.service import MoneyDeps, MoneyService, take_short_turns
from serving.money.views import DecisionView

_MAX_BODY_BYTES = 512 * 1024
_TenantId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
_TenantQuery = Annotated[str, Query(pattern=r"^[a-z0-9-]{1,40}$")]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DecideBody(_Body):
    """Name the tenant."""

    tenant_id: _TenantId


def create_money_app(deps: MoneyDeps) -> FastAPI:
    """Make the application; the sweeper and the sequencer live as long as it does."""
    service = MoneyService(deps)
    background = Background(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        take_short_turns()
        # Once before the first request: with what nobody approved it does not start. Where the database is not up yet, the
        # background thread goes on trying.
        await run_in_threadpool(service.refuse_unapproved)
        await run_in_threadpool(background.install_policies)
        background.start()
        yield
        background.stop()

    app = FastAPI(title="Tellergate money", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    open_inner_door(app, process_token=deps.process_token, max_body_bytes=_MAX_BODY_BYTES)
    _add_health(app, background)
    _add_decisions(app, service)
    add_review_routes(app, service)
    add_policy_routes(app, service)
    add_registry_routes(app, service)
    add_freeze_routes(app, service)
    add_feature_routes(app, service)
    add_digest_routes(app, service)
    add_receipt_routes(app, service)
    add_explain_routes(app, service)
    return app


def _add_health(app: FastAPI, background: Background) -> None:
    @app.get("/healthz")
    def get_health() -> dict[str, Any]:
        codes = sorted(background.faults)
        return {"state": "degraded" if codes else "ready", "faults": codes}


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
