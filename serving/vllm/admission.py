"""A bounded queue before the model: so many run, so many wait, and no tenant fills the line alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents.ports import ModelBusy


class Admission:
    """Let `max_running` calls run and `max_waiting_per_salt` of one tenant wait; refuse more at once. For one event loop."""

    def __init__(self, *, max_running: int = 4, max_waiting_per_salt: int = 8) -> None:
        self._running = asyncio.Semaphore(max_running)
        self._max_waiting = max_waiting_per_salt
        self._waiting: Counter[str] = Counter()

    @asynccontextmanager
    async def enter(self, salt: str, *, timeout_s: float) -> AsyncIterator[None]:
        """Wait for a place. `salt` stands for the tenant. Raises: ModelBusy, TimeoutError."""
        if self._waiting[salt] >= self._max_waiting:
            raise ModelBusy("too many calls of this tenant wait for the model")
        self._waiting[salt] += 1
        try:
            async with asyncio.timeout(timeout_s):
                await self._running.acquire()
        finally:
            self._waiting[salt] -= 1
            if not self._waiting[salt]:
                del self._waiting[salt]
        try:
            yield
        finally:
            self._running.release()
