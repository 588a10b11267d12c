"""The agents process's HTTP: `POST /v1/turns` streams the events of one turn as NDJSON, `GET /healthz` says what is up."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from agents.support.turn_types import MAX_MASKED_BYTES, ErrorEvent, TurnEvent, TurnInput
from domain.errors import BrokenInvariant, Conflict, Forbidden, InvalidInput, NotFound, TellergateError, Unavailable
from serving.agents_process.parts import AgentParts, AgentsDeps, ReadyChat, ReadyEmbeddings

_LOG = structlog.get_logger("tellergate.agents")
_MAX_BODY_BYTES = 2 * MAX_MASKED_BYTES
_STATUSES: tuple[tuple[type[TellergateError], int], ...] = (
    (NotFound, 404), (Conflict, 409), (InvalidInput, 422), (Forbidden, 403), (Unavailable, 503), (BrokenInvariant, 422),
)  # fmt: skip


class TooManyTurns(Unavailable):
    """Say that this process answers as many turns as it may."""

    code = "too_many_turns"


class TurnRequest(BaseModel):
    """Hold one turn as the edge asks for it. `tenant_context` is signed for role `ai` and is never stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: str
    tenant_context: Annotated[str, Field(min_length=1, max_length=512, repr=False)]
    conversation_id: str
    message_id: str
    masked_text: str
    language: str = "en"
    reader_roles: tuple[str, ...] = ("support",)


def create_agents_app(deps: AgentsDeps) -> FastAPI:
    """Build the app. Its parts come up with its lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = await deps.open_pool()
        parts = AgentParts(deps, pool)
        app.state.parts = parts
        warming = asyncio.create_task(parts.warm_up())
        yield
        warming.cancel()
        await pool.close()

    app = FastAPI(title="Tellergate agents", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.turns_running = 0
    app.add_middleware(_Door, process_token=deps.process_token)
    app.add_exception_handler(TellergateError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    _add_routes(app, deps)
    return app


def _add_routes(app: FastAPI, deps: AgentsDeps) -> None:
    @app.post("/v1/turns")
    async def run_turn(request: Request, body: TurnRequest) -> StreamingResponse:
        parts: AgentParts = request.app.state.parts
        if app.state.turns_running >= deps.max_turns:
            raise TooManyTurns("the agents process is answering as many messages as it may; try again in some seconds")
        turn = _to_turn(body, deps)
        events = parts.turns.run(turn, tenant_context=body.tenant_context)
        # The first event is awaited before the status goes out, so that a refusal is a status and not a line.
        first = await anext(events)
        return StreamingResponse(_lines(app, first, events), media_type="application/x-ndjson")

    @app.get("/healthz")
    async def read_health(request: Request) -> dict[str, str]:
        parts: AgentParts = request.app.state.parts
        return {
            "state": "ready" if parts.is_warm else "starting",
            "model": await _state_of(parts.chat, is_warm=parts.is_warm),
            "embeddings": await _state_of(parts.embeddings, is_warm=parts.is_warm),
        }


def _to_turn(body: TurnRequest, deps: AgentsDeps) -> TurnInput:
    try:
        return TurnInput(**body.model_dump(exclude={"tenant_context"}), started_at=deps.clock.now())
    except ValueError as error:
        fields = sorted({str(fault["loc"][0]) for fault in getattr(error, "errors", list)()})
        raise InvalidInput(f"the turn is malformed in: {', '.join(fields)}", code="invalid_turn") from error


async def _lines(app: FastAPI, first: TurnEvent, events: AsyncGenerator[TurnEvent, None]) -> AsyncGenerator[bytes, None]:
    app.state.turns_running += 1
    try:
        async with aclosing(events):
            yield _line(first)
            async for event in events:
                yield _line(event)
    except Exception as error:  # noqa: BLE001 - the stream has begun: the only way to say it is a last line
        _LOG.error("turn_crashed", error=type(error).__name__, exc_info=error)
        yield _line(ErrorEvent(code="turn_crashed", message="the answer broke off; what was shown stands, ask again to go on"))
    finally:
        app.state.turns_running -= 1


def _line(event: TurnEvent) -> bytes:
    return event.model_dump_json().encode() + b"\n"


async def _state_of(model: ReadyChat | ReadyEmbeddings | None, *, is_warm: bool) -> str:
    if model is None:
        return "off" if is_warm else "starting"
    return "ready" if await model.is_ready() else "down"


class _Door:
    """Let in who holds the process token and says how long the body is; plain ASGI, so that a stream passes untouched."""

    def __init__(self, app: ASGIApp, process_token: str) -> None:
        self._app = app
        self._expected = f"Bearer {process_token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refuse(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        given = headers.get("authorization", "").encode()
        if scope["path"] != "/healthz" and not hmac.compare_digest(given, self._expected):
            return _problem(403, "wrong_process_token", "the process token is missing or wrong")
        length = headers.get("content-length", "")
        if scope["method"] == "POST" and not (length.isascii() and length.isdigit() and int(length) <= _MAX_BODY_BYTES):
            return _problem(413, "body_too_large", f"a turn is at most {_MAX_BODY_BYTES} bytes and says its length")
        return None


async def _on_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, TellergateError)
    status = next((status for branch, status in _STATUSES if isinstance(error, branch)), 500)
    return _problem(status, error.code, error.message)


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # Names of fields only: the input may hold a credential.
    fields = sorted({".".join(map(str, fault["loc"])) for fault in error.errors()})
    return _problem(422, "invalid_request", f"malformed: {', '.join(fields)}")


def _problem(status: int, code: str, detail: str) -> JSONResponse:
    body = {
        "type": f"urn:tellergate:problem:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": detail,
    }
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
