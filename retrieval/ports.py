"""What retrieval needs from outside. `serving.vllm` implements it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from domain.errors import Unavailable
from masking.text import MaskedText

EMBEDDING_DIMENSIONS = 384


class EmbeddingUnavailable(Unavailable):
    """Say that no embedding model answers; search goes on with full text alone."""

    code = "embedding_unavailable"


class EmbeddingModel(Protocol):
    """Turn masked texts into vectors of 384 numbers of length one."""

    @property
    def name(self) -> str:
        """Return the name that is kept with each vector: vectors of two models do not compare."""
        ...

    def embed_texts(self, texts: Sequence[MaskedText]) -> list[list[float]]:
        """Embed, in the caller's thread. Raises: EmbeddingUnavailable."""
        ...

    async def embed_texts_async(self, texts: Sequence[MaskedText]) -> list[list[float]]:
        """Embed. Raises: EmbeddingUnavailable."""
        ...
