"""Ask the jobs process whether a text holds a customer's number: the agents process has neither the key nor the prints."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx

from domain.errors import TellergateError, Unavailable
from masking.classes import PiiClass
from masking.guard import LeakBlocked, Surface, place_of
from serving.edge.process_client import Peer, read_json

# A hundred times what it takes; a machine under load gets there, and a turn can wait for it.
_TIMEOUT = httpx.Timeout(1.0, connect=0.5)


class LeakGuardUnavailable(Unavailable):
    """Say that nobody could look whether a text may leave, so it did not."""

    code = "leak_guard_unavailable"


class LeakClient:
    """Check texts over the jobs process's socket. What is found there is reported there."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._client = peer.client(_TIMEOUT)

    async def check(self, texts: Sequence[str], *, tenant_id: str, surface: Surface) -> None:
        """Let the texts pass, or raise. Raises: LeakBlocked, LeakGuardUnavailable."""
        body = {"tenant_id": tenant_id, "surface": surface.value, "texts": list(texts)}
        try:
            answer = read_json(self._peer, await self._client.post("/v1/leaks/check", json=body))
            classes = [PiiClass(name) for name in answer["classes"]]
        except (httpx.HTTPError, TellergateError, KeyError, TypeError, ValueError) as error:
            raise LeakGuardUnavailable("nobody could check the text before it left: it was not sent") from error
        if classes:
            raise LeakBlocked(
                f"a text that should be masked holds {', '.join(classes)}: it was not sent",
                classes=tuple(classes),
                surface=surface,
                place=place_of("", None),
            )

    def report(self, *, tenant_id: str, surface: Surface, classes: Sequence[str], place: str) -> None:
        """Have an incident opened for what this process found in its own output, from a thread.

        Raises: httpx.HTTPError, TellergateError.
        """
        asyncio.run(self._report({"tenant_id": tenant_id, "surface": surface.value, "classes": list(classes), "place": place}))

    async def _report(self, body: dict[str, object]) -> None:
        # A client of its own: the other one belongs to the event loop of the process.
        async with self._peer.client(_TIMEOUT) as client:
            read_json(self._peer, await client.post("/v1/leaks/reports", json=body))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
