"""The one door to the chat model: breaker, queue, budgets and a log line of hashes. Implements `agents.ports.ChatModel`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from agents.ports import ModelAnswerUnusable, ModelTooSlow, ModelUnavailable
from prompts.rendering import MaskedPrompt
from serving.vllm.admission import Admission
from serving.vllm.breaker import BreakerState, CircuitBreaker
from serving.vllm.endpoint import TokenUse
from serving.vllm.guarding import PromptBlocked, PromptGuard, PromptUnchecked, guard_prompt

_LOG = structlog.get_logger("tellergate.model_calls")
_NOT_ITS_FAULT = frozenset({"abandoned", "model_busy", PromptBlocked.code, PromptUnchecked.code})


class ChatServer(Protocol):
    """What the gateway needs of a server's client (`client.VllmChat`)."""

    async def complete_json(self, prompt: MaskedPrompt, schema: Mapping[str, Any], *, max_tokens: int) -> tuple[str, TokenUse]:
        """Return JSON text and token counts."""
        ...

    def stream_text(self, prompt: MaskedPrompt, *, max_tokens: int) -> AsyncGenerator[tuple[str, TokenUse | None], None]:
        """Yield prose; token counts come with the last piece."""
        ...

    async def is_ready(self) -> bool:
        """Ask the server's health."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


@dataclass(frozen=True, slots=True)
class ModelCall:
    """Hold what is kept of one call: hashes, counts and times; neither prompt nor answer."""

    kind: str
    model: str
    prompt_id: str
    prompt_sha256: str
    masked_prompt_sha256: str
    output_sha256: str
    prompt_tokens: int | None
    output_tokens: int | None
    first_piece_ms: int | None
    total_ms: int
    result: str


def log_call(call: ModelCall) -> None:
    """Write one line for a call."""
    _LOG.info("model_call", **{name: getattr(call, name) for name in call.__slots__})


class _Meter:
    """Measure one call while it runs."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._started = monotonic()
        self._first_ms: int | None = None
        self._hash = hashlib.sha256()
        self.has_text = False
        self.use = TokenUse(prompt_tokens=None, output_tokens=None)

    def add(self, piece: str) -> None:
        if piece and self._first_ms is None:
            self._first_ms = self._elapsed_ms()
        self.has_text = self.has_text or bool(piece.strip())
        self._hash.update(piece.encode())

    def to_call(self, kind: str, model: str, prompt: MaskedPrompt, result: str) -> ModelCall:
        return ModelCall(
            kind=kind,
            model=model,
            prompt_id=prompt.prompt_id,
            prompt_sha256=prompt.prompt_sha256,
            masked_prompt_sha256=prompt.masked_prompt_sha256,
            output_sha256=self._hash.hexdigest(),
            prompt_tokens=self.use.prompt_tokens,
            output_tokens=self.use.output_tokens,
            first_piece_ms=self._first_ms,
            total_ms=self._elapsed_ms(),
            result=result,
        )

    def _elapsed_ms(self) -> int:
        return int((self._monotonic() - self._started) * 1000)


class ModelGateway:
    """Guard one chat server. `first_token_timeout_s` bounds the wait for a stream's first piece within the total budget.

    `guard` looks at each prompt before it is sent.
    """

    def __init__(
        self,
        server: ChatServer,
        *,
        name: str,
        breaker: CircuitBreaker,
        admission: Admission,
        monotonic: Callable[[], float],
        guard: PromptGuard,
        first_token_timeout_s: float = 3.0,
        on_call: Callable[[ModelCall], None] = log_call,
    ) -> None:
        self._server = server
        self._name = name
        self._breaker = breaker
        self._admission = admission
        self._monotonic = monotonic
        self._guard = guard
        self._first_token_timeout_s = first_token_timeout_s
        self._on_call = on_call

    @property
    def name(self) -> str:
        """Return the name that records hold."""
        return self._name

    @property
    def breaker_state(self) -> BreakerState:
        """Return the breaker's state, for health and metrics."""
        return self._breaker.state

    async def is_ready(self) -> bool:
        """Say whether the server is healthy."""
        return await self._server.is_ready()

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._server.close()

    async def complete_json(self, prompt: MaskedPrompt, schema: Mapping[str, Any], *, max_tokens: int, timeout_s: float) -> str:
        """Answer under a schema within the budget, waiting included. Raises: ModelUnavailable and its leaves."""
        deadline = self._monotonic() + timeout_s
        async with self._call("json", prompt, timeout_s) as meter:
            async with asyncio.timeout(deadline - self._monotonic()):
                text, meter.use = await self._server.complete_json(prompt, schema, max_tokens=max_tokens)
            meter.add(text)
            if not meter.has_text:
                raise ModelAnswerUnusable("the model answered with nothing")
            return text

    async def stream_text(self, prompt: MaskedPrompt, *, max_tokens: int, timeout_s: float) -> AsyncGenerator[str, None]:
        """Stream prose within the budget, waiting included. Raises: ModelUnavailable and its leaves."""
        deadline = self._monotonic() + timeout_s
        async with (
            self._call("stream", prompt, timeout_s) as meter,
            aclosing(self._server.stream_text(prompt, max_tokens=max_tokens)) as pieces,
        ):
            # A time limit around each wait and none around a yield: it would cancel the reader instead of us.
            while (item := await _next_piece(pieces, self._limit(meter, deadline))) is not None:
                piece, use = item
                meter.add(piece)
                meter.use = use or meter.use
                if piece:
                    yield piece
            if not meter.has_text:
                raise ModelAnswerUnusable("the model answered with nothing")

    def _limit(self, meter: _Meter, deadline: float) -> float:
        left_s = deadline - self._monotonic()
        return left_s if meter.has_text else min(left_s, self._first_token_timeout_s)

    @asynccontextmanager
    async def _call(self, kind: str, prompt: MaskedPrompt, timeout_s: float) -> AsyncIterator[_Meter]:
        if not self._breaker.try_enter():
            raise ModelUnavailable("the model failed several times in a row and rests for some seconds")
        meter, result = _Meter(self._monotonic), "abandoned"
        try:
            await guard_prompt(self._guard, prompt)
            async with self._admission.enter(prompt.cache_salt, timeout_s=timeout_s):
                yield meter
            result = "ok"
        except TimeoutError as error:
            result = ModelTooSlow.code
            raise ModelTooSlow(f"no answer within the budget of {timeout_s:g} s") from error
        except ModelUnavailable as error:
            result = error.code
            raise
        finally:
            self._settle(result)
            self._on_call(meter.to_call(kind, self._name, prompt, result))

    def _settle(self, result: str) -> None:
        if result == "ok":
            self._breaker.succeed()
        elif result in _NOT_ITS_FAULT:
            self._breaker.abandon()
        else:
            self._breaker.fail()


async def _next_piece(
    pieces: AsyncGenerator[tuple[str, TokenUse | None], None], limit_s: float
) -> tuple[str, TokenUse | None] | None:
    try:
        async with asyncio.timeout(limit_s):
            return await anext(pieces)
    except StopAsyncIteration:
        return None
