"""The jobs process as the edge sees it, where the bank is concerned: callbacks go on unread, the relay is asked how it is."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import httpx

from serving.edge.process_client import Peer, failure_of, read_json

_TIMEOUT = httpx.Timeout(10.0, connect=2.0)


@dataclass(frozen=True, slots=True)
class BankClient:
    """Ask the jobs process. Raises PartDown when it does not answer, and its own refusals as domain errors."""

    peer: Peer

    async def pass_callback(self, *, tenant_id: str, message_id: str, timestamp: str, signatures: str, body: bytes) -> str:
        """Hand a callback over as it came and return what it did. The edge holds no secret of the bank and checks nothing."""
        callback = {
            "tenant_id": tenant_id,
            "message_id": message_id,
            "timestamp": timestamp,
            "signatures": signatures,
            "body_base64": base64.b64encode(body).decode(),
        }
        return str((await self._send("POST", "/v1/bank/callbacks", json=callback)).get("effect", ""))

    async def read_relay(self) -> dict[str, Any]:
        """Return how the bank is reached, and what fails now."""
        return await self._send("GET", "/v1/bank")

    async def _send(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            async with self.peer.client(_TIMEOUT) as client:
                return read_json(self.peer, await client.request(method, path, **arguments))
        except httpx.HTTPError as error:
            raise failure_of(self.peer, error) from None
