"""The agents process's HTTP: `POST /v1/turns` streams the events of one turn as NDJSON, `GET /healthz` says what is up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from agents.support.turn_types import MAX_MASKED_BYTES, ErrorEvent, TurnEvent, TurnInput
from domain.errors import BrokenInvariant, InvalidInput, Unavailable
from serving.agents_process.parts import AgentParts, AgentsDeps, ReadyChat, ReadyEmbeddings
from serving.inner_api import open_inner_door

_LOG = structlog.get_logger("tellergate.agents")
_MAX_BODY_BYTES = 2 * MAX_MASKED_BYTES


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
    open_inner_door(app, process_token=deps.process_token, max_body_bytes=_MAX_BODY_BYTES)
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
        try:
            first = await anext(events)
        except BrokenInvariant as error:
            # Before the first event this can only be the turn itself: a damaged token, a foreign message.
            raise InvalidInput(error.message, code=error.code) from error
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
