"""The jobs process as the edge sees it, where statements and settlement files are concerned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from serving.edge.process_client import Peer, failure_of, read_json

# A large file is read, stored and matched within this.
_TIMEOUT = httpx.Timeout(300.0, connect=2.0)


@dataclass(frozen=True, slots=True)
class ReconciliationClient:
    """Ask the jobs process. Raises PartDown when it does not answer, and its own refusals as domain errors."""

    peer: Peer

    async def send(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post to one of its routes and return the answer."""
        try:
            async with self.peer.client(_TIMEOUT) as client:
                return read_json(self.peer, await client.post(path, json=dict(body)))
        except httpx.HTTPError as error:
            raise failure_of(self.peer, error) from None
