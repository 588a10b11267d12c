"""Follow a turn: live while it is answered, from the database afterwards. The events are the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from domain.errors import NotFound, TellergateError
from serving.edge.boundary import Place
from serving.edge.database import EdgeDatabase
from serving.edge.live_turns import TurnHub
from serving.edge.message_store import StoredMessage, find_message, list_answers, list_proposals_of_message
from serving.edge.money_client import MoneyClient
from serving.edge.turn_events import (
    ProposalDecided,
    ProposalSubmitted,
    ProposalUndecided,
    SentenceAdded,
    TurnEvent,
    TurnFinished,
)


@dataclass(frozen=True, slots=True)
class TurnReader:
    """Give the events of a turn, whenever it was."""

    database: EdgeDatabase
    hub: TurnHub
    money: MoneyClient

    async def events(self, place: Place) -> AsyncIterator[TurnEvent]:
        """Yield the turn's events from its start; the last is TurnFinished."""
        live = self.hub.find(place.message_id)
        if live is not None:
            async for event in live.follow():
                yield event
            return
        ending, answer, proposal_ids = await run_in_threadpool(self._read, place)
        for sentence in answer.sentences if answer is not None else ():
            yield SentenceAdded(sentence)
        for proposal_id in proposal_ids:
            yield ProposalSubmitted(proposal_id)
            yield await self.read_decision(place.tenant_id, proposal_id)
        yield ending

    async def read_decision(self, tenant_id: str, proposal_id: str) -> ProposalDecided | ProposalUndecided:
        """Ask how a proposal stands, without deciding it."""
        try:
            return ProposalDecided(proposal_id, await self.money.find_by_proposal(tenant_id, proposal_id))
        except NotFound:
            return ProposalUndecided(proposal_id, "not_decided_yet")
        except TellergateError:
            return ProposalUndecided(proposal_id, "state_unknown")

    def _read(self, place: Place) -> tuple[TurnFinished, StoredMessage | None, tuple[str, ...]]:
        with self.database.work(place.tenant_id) as connection:
            stored = list_answers(connection, tenant_id=place.tenant_id, message_ids=[place.message_id]).get(place.message_id)
            proposals = list_proposals_of_message(connection, tenant_id=place.tenant_id, message_id=place.message_id)
            answer = None
            if stored is not None:
                _, answer = find_message(connection, tenant_id=place.tenant_id, message_id=str(stored["answer_id"]))
        return ending_of(stored), answer, tuple(row.proposal_id for row in proposals)


def ending_of(stored: dict[str, Any] | None) -> TurnFinished:
    """Make the end of a turn from its stored answer; a turn without one was cut off with this process."""
    if stored is None:
        return TurnFinished("interrupted", "", "none", "edge_restarted")
    complete = stored["state"] == "complete"
    return TurnFinished(
        "complete" if complete else "interrupted", str(stored["answer_id"]), str(stored["model"]), str(stored["notice"])
    )
