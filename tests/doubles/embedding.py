"""An embedding model without a model: words hashed into 384 places, so that texts sharing words are near."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence

from masking.text import MaskedText
from retrieval.ports import EMBEDDING_DIMENSIONS, EmbeddingUnavailable


class HashedWords:
    """Count its calls; refuse when `is_down`."""

    name = "hashed-words"

    def __init__(self) -> None:
        self.texts_embedded = 0
        self.is_down = False

    def embed_texts(self, texts: Sequence[MaskedText]) -> list[list[float]]:
        if self.is_down:
            raise EmbeddingUnavailable("down by script")
        self.texts_embedded += len(texts)
        return [_embed(text.text) for text in texts]

    async def embed_texts_async(self, texts: Sequence[MaskedText]) -> list[list[float]]:
        return self.embed_texts(texts)


def _embed(text: str) -> list[float]:
    vector = [0.0] * EMBEDDING_DIMENSIONS
    for word in re.findall(r"\w+", text.casefold()):
        vector[int.from_bytes(hashlib.sha256(word[:5].encode()).digest()[:4], "big") % EMBEDDING_DIMENSIONS] += 1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]
