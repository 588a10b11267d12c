"""Where a model server answers, and the HTTP client to it. Cheap to import; the clients themselves load their libraries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx

HEALTH_TIMEOUT_S = 1.0
_CONNECT_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """Name where a model server answers: a Unix socket where `uds` is given, else `base_url` over TCP."""

    base_url: str
    served_model_name: str
    api_key: str
    uds: Path | None = None
    health_url: str = ""


@dataclass(frozen=True, slots=True)
class TokenUse:
    """Count the tokens of one call; None where the server did not say."""

    prompt_tokens: int | None
    output_tokens: int | None


def open_http_client(endpoint: ModelEndpoint) -> httpx.AsyncClient:
    """Open the one HTTP client of an endpoint. No proxies, no redirects; the budget comes from the caller's timeout."""
    transport = httpx.AsyncHTTPTransport(uds=str(endpoint.uds)) if endpoint.uds else httpx.AsyncHTTPTransport()
    timeout = httpx.Timeout(None, connect=_CONNECT_TIMEOUT_S)
    return httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False, follow_redirects=False)
