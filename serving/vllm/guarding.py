"""The last step before a model: is there a customer's value in what is about to be sent? Then it is not sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from agents.ports import ModelUnavailable
from domain.errors import Unavailable
from masking.guard import LeakBlocked, Surface
from masking.text import MaskedText
from prompts.rendering import MaskedPrompt
from retrieval.ports import EmbeddingModel, EmbeddingUnavailable


class PromptBlocked(ModelUnavailable):
    """Say that a prompt held a value and was not sent: the incident is open, and templates answer."""

    code = "leak_blocked"


class PromptUnchecked(ModelUnavailable):
    """Say that nobody could check a prompt, so it was not sent."""

    code = "leak_guard_unavailable"


class EmbeddingServer(EmbeddingModel, Protocol):
    """An embedding model whose server can be asked how it is (`embeddings.VllmEmbeddings`)."""

    async def is_ready(self) -> bool:
        """Ask the server's health."""
        ...

    async def close(self) -> None:
        """Close the clients."""
        ...


class PromptGuard(Protocol):
    """Check texts before they leave (`serving.leak_client.LeakClient`)."""

    async def check(self, texts: Sequence[str], *, tenant_id: str, surface: Surface) -> None:
        """Let the texts pass, or raise. Raises: LeakBlocked, Unavailable."""
        ...


async def guard_prompt(guard: PromptGuard, prompt: MaskedPrompt) -> None:
    """Let a prompt pass. Raises: PromptBlocked, PromptUnchecked."""
    try:
        # The system part is ours, reviewed and approved by its hash.
        await guard.check([prompt.user], tenant_id=prompt.tenant_id, surface=Surface.MODEL)
    except LeakBlocked as error:
        raise PromptBlocked(error.message) from error
    except Unavailable as error:
        raise PromptUnchecked(error.message) from error


class GuardedEmbeddings:
    """Check what an embedding model gets. Implements `retrieval.ports.EmbeddingModel` for one tenant.

    `check_batch` is what a thread uses where the prints are at hand; it raises LeakBlocked. One of the two is given.
    """

    def __init__(
        self,
        inner: EmbeddingServer,
        *,
        tenant_id: str,
        guard: PromptGuard | None = None,
        check_batch: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        self._inner = inner
        self._tenant_id = tenant_id
        self._guard = guard
        self._check_batch = check_batch

    @property
    def name(self) -> str:
        """Return the name that is kept with each vector."""
        return self._inner.name

    def embed_texts(self, texts: Sequence[MaskedText]) -> list[list[float]]:
        """Embed a batch. Raises: EmbeddingUnavailable."""
        if self._check_batch is None:
            raise EmbeddingUnavailable("nobody can check this batch here: it was not sent", code="leak_guard_unavailable")
        try:
            self._check_batch([text.text for text in texts])
        except LeakBlocked as error:
            raise EmbeddingUnavailable(error.message, code=error.code) from error
        return self._inner.embed_texts(texts)

    async def embed_texts_async(self, texts: Sequence[MaskedText]) -> list[list[float]]:
        """Embed. The caller bounds the wait. Raises: EmbeddingUnavailable."""
        if self._guard is None:
            raise EmbeddingUnavailable("nobody can check this text here: it was not sent", code="leak_guard_unavailable")
        try:
            await self._guard.check([text.text for text in texts], tenant_id=self._tenant_id, surface=Surface.EMBEDDING)
        except LeakBlocked as error:
            raise EmbeddingUnavailable(error.message, code=error.code) from error
        except Unavailable as error:
            raise EmbeddingUnavailable(error.message, code="leak_guard_unavailable") from error
        return await self._inner.embed_texts_async(texts)

    async def is_ready(self) -> bool:
        """Ask the server's health, for at most a second."""
        return await self._inner.is_ready()

    async def close(self) -> None:
        """Close the model's clients."""
        await self._inner.close()
