"""What an embedding model gets is looked at first; where nobody can look, it gets nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from masking.classes import PiiClass
from masking.guard import LeakBlocked, Surface
from masking.text import MaskedText, masked_from_store
from retrieval.ports import EmbeddingModel, EmbeddingUnavailable
from serving.leak_client import LeakGuardUnavailable
from serving.vllm.guarding import GuardedEmbeddings

TEXTS = [masked_from_store("How long does a refund take?")]
BLOCKED = LeakBlocked("no", classes=(PiiClass.CARD,), surface=Surface.EMBEDDING, place="text 0123456789ab")


class _Model:
    """Remember what came."""

    name = "minilm"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def embed_texts(self, texts: Sequence[MaskedText]) -> list[list[float]]:
        self.seen += [text.text for text in texts]
        return [[1.0] for _ in texts]

    async def embed_texts_async(self, texts: Sequence[MaskedText]) -> list[list[float]]:
        return self.embed_texts(texts)

    async def is_ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None


class _Guard:
    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self.seen: list[tuple[tuple[str, ...], str, Surface]] = []

    async def check(self, texts: Sequence[str], *, tenant_id: str, surface: Surface) -> None:
        self.seen.append((tuple(texts), tenant_id, surface))
        if self._error is not None:
            raise self._error


def test_a_batch_is_checked_before_it_is_sent() -> None:
    model, seen = _Model(), list[str]()
    guarded: EmbeddingModel = GuardedEmbeddings(model, tenant_id="demo", check_batch=seen.extend)
    assert guarded.embed_texts(TEXTS) == [[1.0]]
    assert seen == model.seen == [TEXTS[0].text]
    assert guarded.name == "minilm"


def test_a_batch_with_a_value_is_not_sent() -> None:
    def block(_: Sequence[str]) -> None:
        raise BLOCKED

    model = _Model()
    with pytest.raises(EmbeddingUnavailable) as caught:
        GuardedEmbeddings(model, tenant_id="demo", check_batch=block).embed_texts(TEXTS)
    assert (caught.value.code, model.seen) == ("leak_blocked", [])


async def test_a_query_is_checked_before_it_is_sent() -> None:
    model, guard = _Model(), _Guard(None)
    await GuardedEmbeddings(model, tenant_id="demo", guard=guard).embed_texts_async(TEXTS)
    assert guard.seen == [((TEXTS[0].text,), "demo", Surface.EMBEDDING)]
    assert model.seen == [TEXTS[0].text]


@pytest.mark.parametrize(
    ("error", "code"), [(BLOCKED, "leak_blocked"), (LeakGuardUnavailable("nobody there"), "leak_guard_unavailable")]
)
async def test_a_query_that_is_not_cleared_is_not_sent(error: Exception, code: str) -> None:
    model = _Model()
    with pytest.raises(EmbeddingUnavailable) as caught:
        await GuardedEmbeddings(model, tenant_id="demo", guard=_Guard(error)).embed_texts_async(TEXTS)
    assert (caught.value.code, model.seen) == (code, [])


async def test_where_nobody_can_look_nothing_is_sent() -> None:
    model = _Model()
    blind = GuardedEmbeddings(model, tenant_id="demo")
    with pytest.raises(EmbeddingUnavailable):
        blind.embed_texts(TEXTS)
    with pytest.raises(EmbeddingUnavailable):
        await blind.embed_texts_async(TEXTS)
    assert model.seen == []
