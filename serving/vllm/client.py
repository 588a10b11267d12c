"""The chat model behind vLLM's OpenAI API, spoken to by langchain-openai. Typed errors out; no budget of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx
import openai
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from agents.ports import ModelAnswerUnusable, ModelTooSlow, ModelUnavailable
from prompts.rendering import MaskedPrompt
from serving.vllm.endpoint import HEALTH_TIMEOUT_S, ModelEndpoint, TokenUse

# Pinned: the same prompt gets the same answer on the same engine with the same flags (vLLM promises no more than that).
SEED = 20261122


class VllmChat:
    """Speak to one chat server. Each call returns text and token counts, or raises one of `agents.ports`' errors."""

    def __init__(self, endpoint: ModelEndpoint, http_client: httpx.AsyncClient) -> None:
        self._http_client = http_client
        self._health_url = endpoint.health_url
        self._chat = ChatOpenAI(
            model=endpoint.served_model_name,
            base_url=endpoint.base_url,
            api_key=SecretStr(endpoint.api_key),
            http_async_client=http_client,
            temperature=0.0,
            top_p=1.0,
            seed=SEED,
            max_retries=0,
            stream_usage=True,
            use_responses_api=False,
        )

    async def complete_json(self, prompt: MaskedPrompt, schema: Mapping[str, Any], *, max_tokens: int) -> tuple[str, TokenUse]:
        """Ask for one JSON text that fits `schema`. Raises: ModelUnavailable and its leaves."""
        extra = {"cache_salt": prompt.cache_salt, "structured_outputs": {"json": dict(schema)}}
        try:
            answer = await self._chat.ainvoke(_to_messages(prompt), max_tokens=max_tokens, extra_body=extra)
        except Exception as error:
            raise _translate(error) from error
        if answer.response_metadata.get("finish_reason") == "length":
            raise ModelAnswerUnusable("the model's JSON did not end within its tokens")
        return _text_of(answer), _use_of(answer)

    async def stream_text(self, prompt: MaskedPrompt, *, max_tokens: int) -> AsyncGenerator[tuple[str, TokenUse | None], None]:
        """Yield pieces of prose, the token counts with the last. Raises: ModelUnavailable and its leaves."""
        extra = {"cache_salt": prompt.cache_salt}
        try:
            async for chunk in self._chat.astream(_to_messages(prompt), max_tokens=max_tokens, extra_body=extra):
                yield _text_of(chunk), _use_of(chunk) if isinstance(chunk, AIMessageChunk) and chunk.usage_metadata else None
        except Exception as error:
            raise _translate(error) from error

    async def is_ready(self) -> bool:
        """Ask the server's health, for at most a second."""
        try:
            answer = await self._http_client.get(self._health_url, timeout=HEALTH_TIMEOUT_S)
        except (httpx.HTTPError, OSError):
            return False
        return answer.status_code == 200

    async def close(self) -> None:
        """Close the HTTP client."""
        await self._http_client.aclose()


def _to_messages(prompt: MaskedPrompt) -> list[SystemMessage | HumanMessage]:
    return [SystemMessage(prompt.system), HumanMessage(prompt.user)]


def _text_of(message: AIMessage | AIMessageChunk | Any) -> str:
    content = message.content
    if not isinstance(content, str):
        raise ModelAnswerUnusable("the model answered with something that is not text")
    return content


def _use_of(message: AIMessage | AIMessageChunk | Any) -> TokenUse:
    use = message.usage_metadata
    if use is None:
        return TokenUse(prompt_tokens=None, output_tokens=None)
    return TokenUse(prompt_tokens=use["input_tokens"], output_tokens=use["output_tokens"])


def _translate(error: Exception) -> ModelUnavailable:
    """Map what the HTTP client and the libraries raise; the text of the error stays out, it may quote the prompt."""
    if isinstance(error, ModelUnavailable):
        return error
    if isinstance(error, openai.APITimeoutError | httpx.TimeoutException | TimeoutError):
        return ModelTooSlow("the model server did not answer in time")
    if isinstance(error, openai.APIStatusError):
        return ModelUnavailable(f"the model server answered {error.status_code}")
    if isinstance(error, openai.APIConnectionError | httpx.TransportError | OSError):
        return ModelUnavailable("the model server is not reachable")
    return ModelAnswerUnusable(f"the model server's answer could not be read ({type(error).__name__})")
