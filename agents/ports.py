"""What the graphs need from outside, and how it may fail. `serving.vllm` implements `ChatModel`; tests have a scripted one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from domain.errors import Unavailable
from prompts.rendering import MaskedPrompt


class ModelUnavailable(Unavailable):
    """Say that no model answers: it is down, starting, or the circuit breaker is open."""

    code = "model_unavailable"


class ModelBusy(ModelUnavailable):
    """Say that too many calls wait already."""

    code = "model_busy"


class ModelTooSlow(ModelUnavailable):
    """Say that the answer, or its first token, did not come within its budget."""

    code = "model_too_slow"


class ModelAnswerUnusable(ModelUnavailable):
    """Say that the model answered with nothing, or with something that is not what was asked for."""

    code = "model_answer_unusable"


class ChatModel(Protocol):
    """Answer a masked prompt. Sampling and seed are pinned by the implementation.

    Every method raises only the errors above (and CancelledError): a graph turns them into templates.
    """

    @property
    def name(self) -> str:
        """Return the name that records hold, such as `smollm2-135m-instruct`."""
        ...

    async def complete_json(self, prompt: MaskedPrompt, schema: Mapping[str, Any], *, max_tokens: int, timeout_s: float) -> str:
        """Return the raw JSON text that the decoder was held to by `schema`. Treat it as hostile all the same."""
        ...

    def stream_text(self, prompt: MaskedPrompt, *, max_tokens: int, timeout_s: float) -> AsyncGenerator[str, None]:
        """Yield pieces of prose. `timeout_s` bounds the whole stream. Close it when you stop early."""
        ...
