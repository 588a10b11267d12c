"""HTTP to another process of ours over its Unix socket, with this process's token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from domain.errors import Conflict, Forbidden, InvalidInput, NotFound, TellergateError, Unavailable


class PartDown(Unavailable):
    """Say that another process could not be reached, so it did nothing; `code` names which."""

    code = "part_down"


class PartUnclear(PartDown):
    """Say that another process was reached and gave no answer: what was asked may have been done. Asking again is safe."""

    code = "part_unclear"


@dataclass(frozen=True, slots=True)
class Peer:
    """Hold where a process listens. `transport` replaces the socket in tests."""

    name: str
    socket_path: Path
    token: str
    transport: httpx.AsyncBaseTransport | None = None

    def client(self, timeout: httpx.Timeout) -> httpx.AsyncClient:
        """Make a client that never leaves this machine: no proxies, no redirects."""
        transport = self.transport or httpx.AsyncHTTPTransport(uds=str(self.socket_path))
        return httpx.AsyncClient(
            transport=transport,
            base_url=f"http://{self.name}",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=timeout,
            trust_env=False,
            follow_redirects=False,
        )


def down(peer: Peer) -> PartDown:
    """Make the error that says this process cannot be reached."""
    return PartDown(
        f"the {peer.name} process is not running: nothing was done, try again when it is back", code=f"{peer.name}_down"
    )


def unclear(peer: Peer) -> PartUnclear:
    """Make the error that says this process gave no answer that can be read."""
    return PartUnclear(
        f"the {peer.name} process did not answer: look how things stand, then try again; nothing is done twice",
        code=f"{peer.name}_unclear",
    )


def failure_of(peer: Peer, error: httpx.HTTPError) -> PartDown:
    """Say whether the request can have arrived."""
    return down(peer) if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) else unclear(peer)


def read_json(peer: Peer, response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of a 2xx answer. Raises: what the problem body stands for, PartUnclear for nonsense."""
    try:
        body = response.json()
    except ValueError:
        raise unclear(peer) from None
    if not isinstance(body, dict):
        raise unclear(peer)
    if response.is_success:
        return body
    raise error_of(peer, response.status_code, body)


def error_of(peer: Peer, status: int, problem: Mapping[str, Any]) -> TellergateError:
    """Turn a problem+json body back into an error of the tree."""
    code = str(problem.get("code") or "refused")
    detail = str(problem.get("detail") or problem.get("title") or "refused")
    branches: dict[int, type[TellergateError]] = {
        403: Forbidden,
        404: NotFound,
        409: Conflict,
        413: InvalidInput,
        422: InvalidInput,
    }
    branch = branches.get(status)
    return branch(detail, code=code) if branch is not None else unclear(peer)
