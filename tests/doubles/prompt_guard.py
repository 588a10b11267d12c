"""A guard that lets every prompt pass, for tests of what stands behind it."""

from __future__ import annotations

from collections.abc import Sequence

from masking.guard import Surface


class OpenGuard:
    """Let everything pass. Implements `serving.vllm.guarding.PromptGuard`."""

    async def check(self, texts: Sequence[str], *, tenant_id: str, surface: Surface) -> None:
        """Let the texts pass."""
