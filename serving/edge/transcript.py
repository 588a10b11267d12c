"""A conversation as one person may read it: unmasked sentences, cards, and what went wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime

from starlette.concurrency import run_in_threadpool

from domain.conversation import Citation, Grant, Sentence
from serving.edge.action_cards import ActionCard, CardBuilder
from serving.edge.boundary import Boundary, Place, TextStream, Viewer
from serving.edge.database import EdgeDatabase
from serving.edge.live_turns import TurnHub
from serving.edge.message_store import (
    Conversation,
    StoredMessage,
    find_conversation,
    find_message,
    list_answers,
    list_grants,
    list_messages,
    list_proposals,
)
from serving.edge.sessions import SignedIn
from serving.edge.turn_events import (
    ProposalDecided,
    ProposalSubmitted,
    ProposalUndecided,
    SentenceAdded,
    TurnFinished,
)
from serving.edge.turn_reader import TurnReader, ending_of
from serving.edge.viewing import ViewingRules


@dataclass(frozen=True, slots=True)
class ShownSentence:
    """Hold one sentence with the values this viewer may see."""

    text: str
    generated_by: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class CardPending:
    """Say that a proposal is with the gate."""

    proposal_id: str


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """Hold a question and its answer. `live` says that the answer is still being written."""

    message_id: str
    text: str
    created_at: datetime
    sentences: tuple[ShownSentence, ...]
    cards: tuple[ActionCard, ...]
    ending: TurnFinished | None
    live: bool


@dataclass(frozen=True, slots=True)
class ShownConversation:
    """Hold a conversation and its handles, by the id that they stand for."""

    conversation: Conversation
    turns: tuple[ShownTurn, ...]
    handles: dict[str, str]


ShownEvent = ShownSentence | CardPending | ActionCard | TurnFinished


@dataclass(frozen=True, slots=True)
class Transcript:
    """Show conversations and turns to a viewer."""

    database: EdgeDatabase
    boundary: Boundary
    turns: TurnReader
    cards: CardBuilder
    hub: TurnHub
    viewing: ViewingRules = field(default_factory=ViewingRules)

    async def follow(self, signed_in: SignedIn, place: Place) -> AsyncIterator[ShownEvent]:
        """Yield what happens in a turn, from its start to its end, for this viewer."""
        stream = await run_in_threadpool(self._start_stream, signed_in, place)
        async for event in self.turns.events(place):
            match event:
                case SentenceAdded(sentence=sentence):
                    yield await run_in_threadpool(_show_sentence, stream, sentence)
                case ProposalSubmitted(proposal_id=proposal_id):
                    yield CardPending(proposal_id)
                case ProposalDecided(proposal_id=proposal_id, view=view):
                    yield await self.cards.build(signed_in, proposal_id, view=view, undecided="")
                case ProposalUndecided(proposal_id=proposal_id, code=code):
                    yield await self.cards.build(signed_in, proposal_id, view=None, undecided=code)
                case TurnFinished():
                    yield event

    async def read_card(self, signed_in: SignedIn, proposal_id: str) -> ActionCard:
        """Return the card of a proposal as it stands now. Raises: NotFound."""
        state = await self.turns.read_decision(signed_in.tenant_id, proposal_id)
        if isinstance(state, ProposalDecided):
            return await self.cards.build(signed_in, proposal_id, view=state.view, undecided="")
        return await self.cards.build(signed_in, proposal_id, view=None, undecided=state.code)

    def find_place(self, signed_in: SignedIn, message_id: str) -> tuple[Place, str]:
        """Return where an operator's message stands, and its text for this viewer. Raises: UnknownConversation."""
        with self.database.work(signed_in.tenant_id) as connection:
            conversation_id, message = find_message(connection, tenant_id=signed_in.tenant_id, message_id=message_id)
            conversation = find_conversation(connection, tenant_id=signed_in.tenant_id, conversation_id=conversation_id)
        place = Place(signed_in.tenant_id, conversation_id, conversation.customer_id, message_id)
        viewer = self._viewer(signed_in, conversation)
        return place, self.boundary.unmask(message.masked_text, viewer=viewer, place=place, as_written=True)

    async def read(self, signed_in: SignedIn, conversation_id: str) -> ShownConversation:
        """Return a conversation with all its turns. Raises: UnknownConversation."""
        conversation, grants, turns, cards = await run_in_threadpool(self._read_stored, signed_in, conversation_id)
        shown_cards: dict[str, list[ActionCard]] = {}
        for message_id, proposal_id in cards:
            shown_cards.setdefault(message_id, []).append(await self.read_card(signed_in, proposal_id))
        complete = tuple(
            ShownTurn(
                message_id=turn.message_id,
                text=turn.text,
                created_at=turn.created_at,
                sentences=turn.sentences,
                cards=() if turn.live else tuple(shown_cards.get(turn.message_id, [])),
                ending=turn.ending,
                live=turn.live,
            )
            for turn in turns
        )
        return ShownConversation(conversation, complete, {grant.ref: grant.handle for grant in grants if grant.granted})

    def _read_stored(
        self, signed_in: SignedIn, conversation_id: str
    ) -> tuple[Conversation, tuple[Grant, ...], list[ShownTurn], list[tuple[str, str]]]:
        key = {"tenant_id": signed_in.tenant_id, "conversation_id": conversation_id}
        with self.database.work(signed_in.tenant_id) as connection:
            conversation = find_conversation(connection, **key)
            messages = list_messages(connection, **key)
            grants = list_grants(connection, **key)
            proposals = list_proposals(connection, **key)
            questions = [message for message in messages if message.author == "operator"]
            answers = list_answers(
                connection, tenant_id=signed_in.tenant_id, message_ids=[question.message_id for question in questions]
            )
        by_id = {message.message_id: message for message in messages}
        viewer = self._viewer(signed_in, conversation)
        turns: list[ShownTurn] = []
        for question in questions:
            stored = answers.get(question.message_id)
            answer = by_id.get(str(stored["answer_id"])) if stored else None
            place = Place(signed_in.tenant_id, conversation_id, conversation.customer_id, question.message_id)
            turns.append(self._show_turn(viewer, place, question, answer, ending_of(stored)))
        return conversation, grants, turns, [(row.message_id, row.proposal_id) for row in proposals]

    def _show_turn(
        self, viewer: Viewer, place: Place, question: StoredMessage, answer: StoredMessage | None, ending: TurnFinished
    ) -> ShownTurn:
        live = self.hub.find(question.message_id) is not None
        sentences = answer.sentences if answer is not None and not live else ()
        return ShownTurn(
            message_id=question.message_id,
            text=self.boundary.unmask(question.masked_text, viewer=viewer, place=place, as_written=True),
            created_at=question.created_at,
            sentences=self._show_sentences(viewer, place, sentences),
            cards=(),
            ending=None if live else ending,
            live=live,
        )

    def _show_sentences(self, viewer: Viewer, place: Place, sentences: tuple[Sentence, ...]) -> tuple[ShownSentence, ...]:
        if not sentences:
            return ()
        stream = self.boundary.start_stream(viewer=viewer, place=place)
        return tuple(_show_sentence(stream, sentence) for sentence in sentences)

    def _start_stream(self, signed_in: SignedIn, place: Place) -> TextStream:
        with self.database.work(place.tenant_id) as connection:
            conversation = find_conversation(connection, tenant_id=place.tenant_id, conversation_id=place.conversation_id)
        return self.boundary.start_stream(viewer=self._viewer(signed_in, conversation), place=place)

    def _viewer(self, signed_in: SignedIn, conversation: Conversation) -> Viewer:
        sensitive = conversation.segment in self.viewing.sensitive_segments
        return Viewer.of(signed_in).in_case(opened_by=conversation.operator_id, sensitive=sensitive)


def _show_sentence(stream: TextStream, sentence: Sentence) -> ShownSentence:
    # A sentence holds whole tokens: nothing of it waits for the next one.
    return ShownSentence(stream.feed(sentence.text) + stream.finish(), sentence.generated_by, sentence.citations)
