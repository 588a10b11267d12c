"""The jobs process: uploads are taken in on request; vectors are filled in by a worker as soon as the model is up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
from fastapi import FastAPI
from procrastinate import App as JobApp
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from domain.clock import Clock
from domain.errors import NotFound
from serving.bank.desk import BankDesk
from serving.ingest.ingest import IngestDeps, ingest_file
from serving.inner_api import open_inner_door
from serving.jobs.anchoring import AnchorSender
from serving.jobs.bank import add_bank_routes
from serving.jobs.leaks import LeakDesk, add_leak_routes
from serving.jobs.ledger import LedgerKeeper, add_ledger_routes
from serving.jobs.reconciliation import ReconciliationDesk, add_reconciliation_routes
from serving.leak_watch import RecordWatch

_LOG = structlog.get_logger("jobs")
# A prompt that is checked before it leaves is the longest body.
_MAX_BODY_BYTES = 512 * 1024
_STOP_WORKER_S = 3.0


class IngestIn(BaseModel):
    """Name a stored upload: a file name in the ingest folder, never a path."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    file_name: Annotated[str, Field(pattern=r"^ing_[0-9a-f]{32}\.(jsonl|csv)$")]
    file_format: Literal["jsonl", "csv"]
    kind: Annotated[str, Field(pattern=r"^[a-z_]{3,40}$")]


@dataclass(frozen=True, slots=True)
class JobsDeps:
    """Hold the parts, already built. `job_app` declares the tasks of `tasks.py`."""

    ingest: IngestDeps
    ingest_dir: Path
    job_app: JobApp
    clock: Clock
    process_token: str
    bank: BankDesk | None = None
    ledger: LedgerKeeper | None = None
    reconciliation: ReconciliationDesk | None = None
    anchors: AnchorSender | None = None
    leaks: LeakDesk | None = None
    watch: RecordWatch | None = None


def create_jobs_app(deps: JobsDeps) -> FastAPI:
    """Make the application; the worker lives as long as it does."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker = asyncio.create_task(_work(deps.job_app))
        if deps.bank is not None:
            deps.bank.start()
        if deps.ledger is not None:
            deps.ledger.start()
        if deps.anchors is not None:
            deps.anchors.start()
        if deps.watch is not None:
            deps.watch.start()
        yield
        worker.cancel()
        if deps.bank is not None:
            await run_in_threadpool(deps.bank.stop)
        if deps.ledger is not None:
            await run_in_threadpool(deps.ledger.stop)
        if deps.anchors is not None:
            await run_in_threadpool(deps.anchors.stop)
        if deps.watch is not None:
            await run_in_threadpool(deps.watch.stop)
        # A job that does not end in time is taken up again at the next start: each of them may run twice.
        await asyncio.wait({worker}, timeout=_STOP_WORKER_S)

    app = FastAPI(title="Tellergate jobs", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)

    open_inner_door(app, process_token=deps.process_token, max_body_bytes=_MAX_BODY_BYTES)

    if deps.bank is not None:
        add_bank_routes(app, deps.bank)
    if deps.ledger is not None:
        add_ledger_routes(app, deps.ledger)
    if deps.reconciliation is not None:
        add_reconciliation_routes(app, deps.reconciliation)
    if deps.leaks is not None:
        add_leak_routes(app, deps.leaks)

    @app.get("/healthz")
    async def get_health() -> dict[str, str]:
        return {"state": "ready"}

    @app.post("/v1/ingest")
    async def post_ingest(body: IngestIn) -> dict[str, Any]:
        file = deps.ingest_dir / body.file_name
        if not file.is_file():
            raise NotFound("there is no such upload", code="upload_missing")
        report = await run_in_threadpool(
            ingest_file,
            deps.ingest,
            file,
            body.kind,
            tenant_id=body.tenant_id,
            now=deps.clock.now(),
            file_format=body.file_format,
        )
        return asdict(report)

    return app


async def _work(job_app: JobApp) -> None:
    """Run the worker for ever; a database that went away is waited for."""
    while True:
        try:
            async with job_app.open_async():
                await job_app.run_worker_async(
                    install_signal_handlers=False, concurrency=1, shutdown_graceful_timeout=_STOP_WORKER_S
                )
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the queue raises: wait, say so, go on
            _LOG.warning("worker_stopped", error=type(error).__name__)
            await asyncio.sleep(2)
