"""The agents process as the edge sees it: one turn in, a stream of checked events out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import httpx
from pydantic import ValidationError

from domain.conversation import Sentence
from domain.errors import TellergateError
from domain.ids import is_id
from serving.edge.process_client import Peer, failure_of, unclear

# Silence for this long means that nobody writes any more; the agents process speaks at least every few seconds.
_TIMEOUT = httpx.Timeout(45.0, connect=2.0)
_MAX_LINE_BYTES = 64_000
_MAX_EVENTS = 400


class AgentsFailed(TellergateError):
    """Say that the agents process ended a turn with an error, or wrote something that is no turn event."""

    code = "agents_failed"


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """Hold what the agents process gets: masked text and a context for role `ai` that expires soon."""

    tenant_id: str
    tenant_context: str
    conversation_id: str
    message_id: str
    masked_text: str
    language: str
    reader_roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AgentSentence:
    """Hold one sentence as the agents process wrote it, not yet masked again."""

    sentence: Sentence


@dataclass(frozen=True, slots=True)
class AgentQuestion:
    """Hold a question back to the operator."""

    text: str


@dataclass(frozen=True, slots=True)
class AgentProposal:
    """Name a proposal in the inbox."""

    proposal_id: str


@dataclass(frozen=True, slots=True)
class AgentDone:
    """End a turn."""

    message_state: Literal["complete", "interrupted"]
    model: str


AgentEvent = AgentSentence | AgentQuestion | AgentProposal | AgentDone


@dataclass(frozen=True, slots=True)
class AgentsClient:
    """Ask the agents process."""

    peer: Peer

    async def stream_turn(self, request: TurnRequest) -> AsyncIterator[AgentEvent]:
        """Yield events until the turn is done. Raises: PartDown when it does not answer or stops, AgentsFailed."""
        events = 0
        try:
            async with (
                self.peer.client(_TIMEOUT) as client,
                client.stream("POST", "/v1/turns", json=asdict(request)) as response,
            ):
                if not response.is_success:
                    raise AgentsFailed(f"the agents process answered {response.status_code}")
                async for line in response.aiter_lines():
                    event = read_event(line)
                    events += 1
                    if events > _MAX_EVENTS:
                        raise AgentsFailed("the agents process does not come to an end")
                    if event is None:
                        continue
                    yield event
                    if isinstance(event, AgentDone):
                        return
        except httpx.HTTPError as error:
            raise failure_of(self.peer, error) from None
        raise unclear(self.peer)

    async def read_health(self) -> dict[str, str] | None:
        """Return what it says of itself and its model, None when it does not answer."""
        try:
            async with self.peer.client(httpx.Timeout(1.0)) as client:
                response = await client.get("/healthz")
                body = response.json() if response.is_success else None
        except (httpx.HTTPError, ValueError):
            return None
        return {str(key): str(value) for key, value in body.items()} if isinstance(body, dict) else None


def read_event(line: str) -> AgentEvent | None:
    """Read one line; None for an empty one and for kinds that a newer agents process may add. Raises: AgentsFailed."""
    if not line.strip():
        return None
    if len(line.encode()) > _MAX_LINE_BYTES:
        raise AgentsFailed("the agents process wrote a line that is too long")
    try:
        body = json.loads(line)
    except ValueError:
        raise AgentsFailed("the agents process wrote a line that is no JSON") from None
    if not isinstance(body, dict):
        raise AgentsFailed("the agents process wrote a line that is no object")
    try:
        return _event_of(body)
    except (ValidationError, KeyError, TypeError):
        raise AgentsFailed(f"the agents process wrote a malformed {str(body.get('type'))[:20]!r} event") from None


def _event_of(body: dict[str, Any]) -> AgentEvent | None:
    match body.get("type"):
        case "sentence":
            return AgentSentence(Sentence.model_validate(body["sentence"]))
        case "question":
            return AgentQuestion(str(body["text"]))
        case "proposal":
            proposal_id = str(body["proposal_id"])
            if not is_id(proposal_id, "prp"):
                raise AgentsFailed("the agents process named a proposal that has no id")
            return AgentProposal(proposal_id)
        case "done":
            complete = body.get("message_state") == "complete"
            return AgentDone("complete" if complete else "interrupted", str(body.get("model", "none")))
        case "error":
            raise AgentsFailed(str(body.get("message", "the agents process failed")), code=str(body.get("code", "agents_failed")))
        case _:
            return None
