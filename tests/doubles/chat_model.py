"""A chat model by script: says what it is told, fails as it is told. It implements `agents.ports.ChatModel`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from agents.ports import ModelTooSlow, ModelUnavailable
from prompts.rendering import MaskedPrompt


class ScriptedChat:
    """Answer with `json_answer` and `prose`; raise `error` if set; stop for ever after `hang_after` pieces if set."""

    name = "scripted"

    def __init__(
        self, *, json_answer: str = "", prose: str = "", error: ModelUnavailable | None = None, hang_after: int | None = None
    ) -> None:
        self.json_answer = json_answer
        self.prose = prose
        self.error = error
        self.hang_after = hang_after
        self.prompts: list[MaskedPrompt] = []

    async def is_ready(self) -> bool:
        return self.error is None

    async def complete_json(self, prompt: MaskedPrompt, schema: Mapping[str, Any], *, max_tokens: int, timeout_s: float) -> str:
        self.prompts.append(prompt)
        if self.error:
            raise self.error
        if self.hang_after is not None:
            await _hang(timeout_s)
        return self.json_answer

    async def stream_text(self, prompt: MaskedPrompt, *, max_tokens: int, timeout_s: float) -> AsyncGenerator[str, None]:
        self.prompts.append(prompt)
        if self.error:
            raise self.error
        for number, piece in enumerate(self.prose.split(" ")):
            if number == self.hang_after:
                await _hang(timeout_s)
            yield piece + " "


async def _hang(timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.Event().wait()
    except TimeoutError as error:
        raise ModelTooSlow("hung by script") from error
