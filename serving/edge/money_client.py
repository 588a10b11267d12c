"""The money process as the edge sees it: ask for decisions, pass on verdicts, fetch receipts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from domain.errors import NotFound
from domain.ids import is_id
from serving.edge.money_views import ClaimView, DecisionView, QueueItem, ReviewStats
from serving.edge.process_client import Peer, failure_of, read_json, unclear

_TIMEOUT = httpx.Timeout(10.0, connect=2.0)
# No `?`, `#`, `%` and no empty or dotted segment: a path is ours, and brings no tenant of the caller's choice.
_PATH = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9_.@+-]*)+")

Answer = TypeVar("Answer", bound=BaseModel)


class _Queue(BaseModel):
    items: tuple[QueueItem, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Hold what a person said about a review, bound to the digest of the action that he read."""

    review_id: str
    verdict: Literal["approve", "refuse"]
    session_token: str
    action_digest: str
    reason: str
    idempotency_key: str


def _path_id(text: str, prefix: Literal["prp", "dec", "rev"]) -> str:
    """Let nothing but an id into a path: a `?` in it would bring a tenant of the caller's choice. Raises: NotFound."""
    if not is_id(text, prefix):
        raise NotFound("there is nothing with this id in this workspace")
    return text


@dataclass(frozen=True, slots=True)
class MoneyClient:
    """Ask the money process. Every method raises PartDown when it does not answer, and its own refusals as domain errors."""

    peer: Peer

    async def decide(self, tenant_id: str, proposal_id: str) -> DecisionView:
        """Ask for the decision on a proposal. Idempotent: a decided proposal returns its decision."""
        body = await self._send("POST", f"/v1/proposals/{_path_id(proposal_id, 'prp')}/decide", json={"tenant_id": tenant_id})
        return self._view(body)

    async def find_by_proposal(self, tenant_id: str, proposal_id: str) -> DecisionView:
        """Return the latest decision on a proposal. Raises: NotFound when there is none yet."""
        return self._view(
            await self._send("GET", f"/v1/proposals/{_path_id(proposal_id, 'prp')}", params={"tenant_id": tenant_id})
        )

    async def find_decision(self, tenant_id: str, decision_id: str) -> DecisionView:
        """Return one decision. Raises: NotFound."""
        return self._view(
            await self._send("GET", f"/v1/decisions/{_path_id(decision_id, 'dec')}", params={"tenant_id": tenant_id})
        )

    async def list_open_reviews(self, tenant_id: str) -> tuple[DecisionView, ...]:
        """Return the decisions that wait for a person: escalated first, then the riskiest, then the oldest."""
        body = await self._send("GET", "/v1/reviews", params={"tenant_id": tenant_id, "state": "open"})
        rows = body.get("reviews", body.get("items", []))
        return tuple(self._view(row) for row in rows if isinstance(row, dict))

    async def list_queue(self, tenant_id: str) -> tuple[QueueItem, ...]:
        """Return the same as items: alike ones of one source as one."""
        body = await self.ask("GET", "/v1/reviews/queue", tenant_id=tenant_id)
        return self.read(_Queue, body).items

    async def read_stats(self, tenant_id: str) -> ReviewStats:
        """Return overrule rates and pace."""
        return self.read(ReviewStats, await self.ask("GET", "/v1/reviews/stats", tenant_id=tenant_id))

    async def claim(self, tenant_id: str, review_id: str, session_token: str, *, act: Literal["claim", "release"]) -> ClaimView:
        """Take a review for 15 minutes, or give it back."""
        path = f"/v1/reviews/{_path_id(review_id, 'rev')}/{act}"
        return self.read(ClaimView, await self.ask("POST", path, tenant_id=tenant_id, json={"session_token": session_token}))

    async def give_verdict(self, tenant_id: str, verdict: Verdict) -> DecisionView:
        """Pass on an approval or a refusal; the money process checks session, role, four eyes and digest itself."""
        body = await self._send(
            "POST",
            f"/v1/reviews/{_path_id(verdict.review_id, 'rev')}/{verdict.verdict}",
            json={
                "tenant_id": tenant_id,
                "session_token": verdict.session_token,
                "action_digest": verdict.action_digest,
                "reason": verdict.reason,
                "idempotency_key": verdict.idempotency_key,
            },
        )
        return self._view(body)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        tenant_id: str,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Call any route and return its JSON object. The tenant goes into the query of a GET, else into the body.

        Raises: NotFound for a path that holds more than plain segments.
        """
        if not _PATH.fullmatch(path):
            raise NotFound("there is nothing with this id in this workspace")
        if method == "GET":
            return await self._send(method, path, params={**(params or {}), "tenant_id": tenant_id})
        return await self._send(method, path, params=dict(params or {}), json={**(json or {}), "tenant_id": tenant_id})

    async def find_receipt(self, tenant_id: str, decision_id: str) -> bytes | None:
        """Return the receipt as the money process wrote it, None while it is pending. A verifier accepts these bytes only."""
        response = await self._call("GET", f"/v1/receipts/{_path_id(decision_id, 'dec')}", params={"tenant_id": tenant_id})
        if response.status_code == 202:
            return None
        if response.is_success:
            return response.content
        read_json(self.peer, response)
        raise unclear(self.peer)

    async def read_public_key(self) -> str:
        """Return the key that receipts verify with, as a C2SP verifier key line."""
        response = await self._call("GET", "/v1/public-key")
        if not response.is_success:
            raise unclear(self.peer)
        return response.text.strip()

    async def is_up(self) -> bool:
        """Say whether it answers at all."""
        try:
            async with self.peer.client(httpx.Timeout(1.0)) as client:
                return (await client.get("/healthz")).is_success
        except httpx.HTTPError:
            return False

    def read(self, model: type[Answer], body: Mapping[str, Any]) -> Answer:
        """Read an answer as what it should be. Raises: PartUnclear."""
        try:
            return model.model_validate(body)
        except ValidationError:
            raise unclear(self.peer) from None

    def _view(self, body: dict[str, Any]) -> DecisionView:
        return self.read(DecisionView, body)

    async def _send(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        return read_json(self.peer, await self._call(method, path, **arguments))

    async def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            async with self.peer.client(_TIMEOUT) as client:
                return await client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise failure_of(self.peer, error) from None
