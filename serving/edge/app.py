"""The edge's application: console pages and the JSON API, the same on TCP and on the CLI's socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles

from serving.edge.api import (
    bank,
    cases,
    conversations,
    customers,
    decisions,
    digest,
    events,
    explain,
    features,
    freezes,
    health,
    incidents,
    ingest,
    ledger,
    log,
    metrics,
    policies,
    reconciliation,
    registry,
    reviews,
    sessions,
    settlement,
    staff_proposals,
    vault,
)
from serving.edge.api.schemas import PROBLEM_RESPONSES
from serving.edge.console import approvals, chat, entrance, lookups, operations, proposing
from serving.edge.console import customers as customer_pages
from serving.edge.console import incidents as incident_pages
from serving.edge.deps import EdgeDeps
from serving.edge.problems import install_problem_handlers
from serving.edge.request_limits import BodyLimit, SecurityHeaders
from serving.edge.services import make_services
from serving.edge.uploads import UPLOAD_PATHS

_DRAIN_S = 5.0


def create_edge_app(deps: EdgeDeps) -> FastAPI:
    """Make the application from parts that are already built. It opens nothing by itself; `deps.close` runs at its end."""
    services = make_services(deps)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await services.hub.drain(_DRAIN_S)
        deps.close()

    app = FastAPI(
        title="Tellergate",
        version="1",
        description="Agents propose, a deterministic gate decides, only the ledger moves money.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        middleware=[
            Middleware(SecurityHeaders, secure=deps.options.cookie_secure),
            Middleware(BodyLimit, unlimited_paths=frozenset({ingest.INGEST_PATH}) | UPLOAD_PATHS),
        ],
    )
    app.state.services = services
    install_problem_handlers(app, services.pages)
    app.include_router(health.router)
    app.include_router(metrics.router)
    for part in (
        sessions,
        customers,
        conversations,
        decisions,
        reviews,
        features,
        freezes,
        digest,
        policies,
        registry,
        ingest,
        events,
        bank,
        cases,
        reconciliation,
        settlement,
        ledger,
        log,
        explain,
        staff_proposals,
        incidents,
        vault,
    ):
        app.include_router(part.router, prefix="/api/v1", responses=PROBLEM_RESPONSES)
    for page in (entrance, customer_pages, chat, approvals, operations, lookups, proposing, incident_pages):
        app.include_router(page.router, include_in_schema=False)
    app.mount("/static/src", StaticFiles(directory=deps.options.static_dir / "src"), name="static-src")
    app.mount("/static/dist", StaticFiles(directory=deps.options.static_dir / "dist", check_dir=False), name="static-dist")
    return app
