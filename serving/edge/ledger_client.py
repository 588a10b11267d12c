"""The jobs process as the edge sees it, where the ledger is concerned: it is asked to check it now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from serving.edge.process_client import Peer, failure_of, read_json

# A check of some ten million transfers.
_TIMEOUT = httpx.Timeout(600.0, connect=2.0)


@dataclass(frozen=True, slots=True)
class LedgerClient:
    """Ask the jobs process. Raises PartDown when it does not answer, and its own refusals as domain errors."""

    peer: Peer

    async def run_check(self, tenant_id: str) -> dict[str, Any]:
        """Have the tenant's whole ledger checked and return the report."""
        try:
            async with self.peer.client(_TIMEOUT) as client:
                return read_json(self.peer, await client.post("/v1/ledger/checks", json={"tenant_id": tenant_id}))
        except httpx.HTTPError as error:
            raise failure_of(self.peer, error) from None
