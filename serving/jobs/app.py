"""The jobs process: uploads are taken in on request; vectors are filled in by a worker as soon as the model is up."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from procrastinate import App as JobApp
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from domain.clock import Clock
from domain.errors import Forbidden, InvalidInput, NotFound, TellergateError
from serving.ingest.ingest import IngestDeps, ingest_file

_LOG = structlog.get_logger("jobs")
_OPEN_PATHS = frozenset({"/healthz"})
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


def create_jobs_app(deps: JobsDeps) -> FastAPI:
    """Make the application; the worker lives as long as it does."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker = asyncio.create_task(_work(deps.job_app))
        yield
        worker.cancel()
        # A job that does not end in time is taken up again at the next start: each of them may run twice.
        await asyncio.wait({worker}, timeout=_STOP_WORKER_S)

    app = FastAPI(title="Tellergate jobs", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)

    @app.middleware("http")
    async def check_token(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        expected = f"Bearer {deps.process_token}"
        given = request.headers.get("Authorization", "")
        if request.url.path not in _OPEN_PATHS and not hmac.compare_digest(given.encode(), expected.encode()):
            return _problem(Forbidden("this socket is for the edge"))
        return await call_next(request)

    @app.exception_handler(TellergateError)
    async def report(_: Request, error: Exception) -> Response:
        assert isinstance(error, TellergateError)
        return _problem(error)

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


def _problem(error: TellergateError) -> JSONResponse:
    status = 500
    for branch, code in ((NotFound, 404), (InvalidInput, 422), (Forbidden, 403)):
        if isinstance(error, branch):
            status = code
            break
    body = {
        "type": f"urn:tellergate:{error.code}",
        "title": error.code,
        "status": status,
        "code": error.code,
        "detail": error.message,
    }
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
