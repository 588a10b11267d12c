"""The embedding model behind vLLM's OpenAI API. Implements `retrieval.ports.EmbeddingModel`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import httpx
import openai

from masking.text import MaskedText
from retrieval.ports import EMBEDDING_DIMENSIONS, EmbeddingUnavailable
from serving.vllm.endpoint import HEALTH_TIMEOUT_S, ModelEndpoint, open_http_client

_BATCH_TIMEOUT_S = 30.0
# The starter reads 256 tokens; a word is hardly ever more than four.
_TRUNCATE = {"truncate_prompt_tokens": -1}


class VllmEmbeddings:
    """Speak to one embedding server, from a thread (`embed_texts`) or from the event loop (`embed_texts_async`)."""

    def __init__(self, endpoint: ModelEndpoint, *, name: str) -> None:
        self._name = name
        self._model = endpoint.served_model_name
        self._health_url = endpoint.health_url
        self._async_http = open_http_client(endpoint)
        self._async_client = openai.AsyncOpenAI(
            base_url=endpoint.base_url, api_key=endpoint.api_key, http_client=self._async_http, max_retries=0
        )
        self._client = openai.OpenAI(
            base_url=endpoint.base_url, api_key=endpoint.api_key, http_client=_open_sync_client(endpoint.uds), max_retries=0
        )

    @property
    def name(self) -> str:
        """Return the name that is kept with each vector."""
        return self._name

    def embed_texts(self, texts: Sequence[MaskedText]) -> list[list[float]]:
        """Embed a batch. Raises: EmbeddingUnavailable."""
        try:
            answer = self._client.embeddings.create(
                model=self._model, input=[text.text for text in texts], encoding_format="float", extra_body=_TRUNCATE
            )
        except (openai.OpenAIError, httpx.HTTPError, OSError) as error:
            raise _unavailable(error) from error
        return _vectors(answer.data, len(texts))

    async def embed_texts_async(self, texts: Sequence[MaskedText]) -> list[list[float]]:
        """Embed. The caller bounds the wait. Raises: EmbeddingUnavailable."""
        try:
            answer = await self._async_client.embeddings.create(
                model=self._model, input=[text.text for text in texts], encoding_format="float", extra_body=_TRUNCATE
            )
        except (openai.OpenAIError, httpx.HTTPError, OSError) as error:
            raise _unavailable(error) from error
        return _vectors(answer.data, len(texts))

    async def is_ready(self) -> bool:
        """Ask the server's health, for at most a second."""
        try:
            answer = await self._async_http.get(self._health_url, timeout=HEALTH_TIMEOUT_S)
        except (httpx.HTTPError, OSError):
            return False
        return answer.status_code == 200

    async def close(self) -> None:
        """Close both clients."""
        await self._async_http.aclose()
        self._client.close()


def _open_sync_client(uds: Path | None) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(uds)) if uds else httpx.HTTPTransport()
    return httpx.Client(transport=transport, timeout=httpx.Timeout(_BATCH_TIMEOUT_S, connect=1.0), trust_env=False)


def _vectors(data: Sequence[openai.types.Embedding], count: int) -> list[list[float]]:
    vectors = [item.embedding for item in sorted(data, key=lambda item: item.index)]
    if len(vectors) != count or any(len(vector) != EMBEDDING_DIMENSIONS for vector in vectors):
        raise EmbeddingUnavailable(f"the embedding server did not answer with {count} vectors of {EMBEDDING_DIMENSIONS} numbers")
    return vectors


def _unavailable(error: Exception) -> EmbeddingUnavailable:
    return EmbeddingUnavailable(f"the embedding server does not answer ({type(error).__name__})")
