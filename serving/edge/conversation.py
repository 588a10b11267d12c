"""The life of a turn: mask, store, ask the agents, ask for the decision, store the answer. Read this first.

1. `take_message`: masks what the operator typed and stores it with its handles, mentions, event and idempotency key.
2. `answer`: streams the agents' events, masks them again, and asks the money process for a decision on each proposal.
3. Whoever reads gets the events of `live_turns` through `answers`, unmasked for what he may see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog
from starlette.concurrency import run_in_threadpool

from domain.canonical import digest_of
from domain.clock import Clock
from domain.conversation import Sentence
from domain.errors import Conflict, Forbidden, TellergateError
from domain.ids import make_id
from domain.mentions import find_mentions
from serving.edge.agents_client import (
    AgentDone,
    AgentEvent,
    AgentProposal,
    AgentQuestion,
    AgentsClient,
    AgentSentence,
    TurnRequest,
)
from serving.edge.boundary import AnswerBlocked, Boundary, MaskingFailed, Place
from serving.edge.database import EdgeDatabase
from serving.edge.grants import collect_grants, list_record_tokens, resolve_references
from serving.edge.live_turns import LiveTurn, TurnHub
from serving.edge.message_store import (
    ANSWER_SCOPE,
    Conversation,
    IncomingMessage,
    StoredMessage,
    find_conversation,
    find_stored,
    insert_answer,
    insert_conversation,
    insert_message,
    list_grants,
    list_proposals_of_message,
    store_answer,
    turn_scope,
)
from serving.edge.message_text import require_message, require_stored_size
from serving.edge.money_client import MoneyClient
from serving.edge.process_client import PartDown, PartUnclear
from serving.edge.records import RecordReader
from serving.edge.sessions import SignedIn
from serving.edge.turn_events import (
    MessageState,
    ProposalDecided,
    ProposalSubmitted,
    ProposalUndecided,
    SentenceAdded,
    TurnFinished,
)
from storage.leaks import report_leak

_LOG = structlog.get_logger("edge.conversation")


class NotYourConversation(Forbidden):
    """Say that somebody else opened this conversation: he may be read, not written for."""

    code = "not_your_conversation"


class OtherCustomer(Conflict):
    """Say that the conversation is about another customer than the caller means."""

    code = "other_customer"


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """Hold a message that is stored. `replayed` says that its key was known."""

    place: Place
    sender: SignedIn
    masked_text: str
    body_digest: str
    language: str
    merchants: tuple[str, ...]
    replayed: bool


@dataclass(frozen=True, slots=True)
class _Stored:
    scope: str
    key: str
    body_digest: str


@dataclass(slots=True)
class _Progress:
    sentences: list[Sentence] = field(default_factory=list)
    proposal_ids: list[str] = field(default_factory=list)
    state: MessageState = "interrupted"
    model: str = "none"
    notice: str = ""


@dataclass(frozen=True, slots=True)
class ConversationService:
    """Take messages in and get them answered."""

    database: EdgeDatabase
    records: RecordReader
    boundary: Boundary
    agents: AgentsClient
    money: MoneyClient
    hub: TurnHub
    clock: Clock
    mint_agent_context: Callable[[str], str]

    def open_conversation(self, signed_in: SignedIn, *, customer_id: str, key: str) -> str:
        """Start a conversation about a customer, with handles for what is his, and return its id.

        Idempotency: the same key returns the same conversation. Raises: UnknownCustomer, KeyReused, DatabaseUnavailable.
        """
        tenant_id, now = signed_in.tenant_id, self.clock.now()
        customer = self.records.require_customer(tenant_id, customer_id)
        stored = _Stored(f"conversation:{signed_in.operator_id}", key, digest_of({"customer_id": customer_id}))
        conversation = Conversation(
            conversation_id=make_id("cnv", now),
            customer_id=customer_id,
            operator_id=signed_in.operator_id,
            created_at=now,
            language=customer["language"],
            segment=customer["segment"],
            operator_name=signed_in.display_name,
        )
        try:
            with self.database.work(tenant_id) as connection:
                known = find_stored(connection, tenant_id=tenant_id, scope=stored.scope, key=key, body_digest=stored.body_digest)
                if known is not None:
                    return str(known["conversation_id"])
                self._insert_conversation(connection, conversation, stored, tenant_id=tenant_id)
        except psycopg.errors.UniqueViolation:
            # The same key came twice at once and the other one was first.
            return self.open_conversation(signed_in, customer_id=customer_id, key=key)
        return conversation.conversation_id

    def _insert_conversation(
        self, connection: psycopg.Connection[Any], conversation: Conversation, stored: _Stored, *, tenant_id: str
    ) -> None:
        place = {"tenant_id": tenant_id, "conversation_id": conversation.conversation_id, "customer_id": conversation.customer_id}
        insert_conversation(
            connection, conversation, tenant_id=tenant_id, grants=collect_grants(connection, **place), now=conversation.created_at
        )
        store_answer(
            connection,
            tenant_id=tenant_id,
            scope=stored.scope,
            key=stored.key,
            body_digest=stored.body_digest,
            response={"conversation_id": conversation.conversation_id},
            now=conversation.created_at,
        )

    def require_customer(self, signed_in: SignedIn, conversation_id: str, customer_id: str) -> None:
        """Refuse unless the conversation is about this customer. Raises: UnknownConversation, OtherCustomer."""
        with self.database.work(signed_in.tenant_id) as connection:
            conversation = find_conversation(connection, tenant_id=signed_in.tenant_id, conversation_id=conversation_id)
        if conversation.customer_id != customer_id:
            raise OtherCustomer("this conversation is about another customer: name that one, or open a new conversation")

    async def send(self, signed_in: SignedIn, *, conversation_id: str, text: str, key: str) -> TakenMessage:
        """Take a message in and start to answer it. Returns as soon as it is stored.

        Idempotency: the same key with the same text returns the same message and its one answer.
        Raises: EmptyMessage, MessageTooLong, MessageNotText, UnknownConversation, NotYourConversation, KeyReused, StillAnswering,
        MaskingFailed, DatabaseUnavailable.
        """
        cleaned = require_message(text)
        body_digest = digest_of({"conversation_id": conversation_id, "text": cleaned})
        replay = await run_in_threadpool(self._find_replay, signed_in, conversation_id, key, body_digest)
        if replay is not None:
            return replay
        self.hub.reserve(conversation_id)
        try:
            taken = await run_in_threadpool(self._take_message, signed_in, conversation_id, cleaned, key, body_digest)
            if not taken.replayed:
                turn = self.hub.open(conversation_id, taken.place.message_id)
                self.hub.keep(asyncio.create_task(self._answer(taken, turn)), turn)
        finally:
            self.hub.release(conversation_id)
        return taken

    def _find_replay(self, signed_in: SignedIn, conversation_id: str, key: str, body_digest: str) -> TakenMessage | None:
        with self.database.work(signed_in.tenant_id) as connection:
            stored = find_stored(
                connection,
                tenant_id=signed_in.tenant_id,
                scope=turn_scope(signed_in.operator_id),
                key=key,
                body_digest=body_digest,
            )
            if stored is None:
                return None
            conversation = find_conversation(connection, tenant_id=signed_in.tenant_id, conversation_id=conversation_id)
        place = Place(signed_in.tenant_id, conversation_id, conversation.customer_id, stored["message_id"])
        return TakenMessage(place, signed_in, "", body_digest, conversation.language, (), replayed=True)

    def _take_message(self, signed_in: SignedIn, conversation_id: str, text: str, key: str, body_digest: str) -> TakenMessage:
        tenant_id, now = signed_in.tenant_id, self.clock.now()
        with self.database.work(tenant_id) as connection:
            conversation = find_conversation(connection, tenant_id=tenant_id, conversation_id=conversation_id)
            if conversation.operator_id != signed_in.operator_id:
                raise NotYourConversation("somebody else opened this conversation: open your own about this customer")
            resolved = resolve_references(
                connection,
                text,
                tenant_id=tenant_id,
                conversation_id=conversation_id,
                customer_id=conversation.customer_id,
                grants=list_grants(connection, tenant_id=tenant_id, conversation_id=conversation_id),
            )
        place = Place(tenant_id, conversation_id, conversation.customer_id, make_id("msg", now))
        merchants = self.records.list_merchants(tenant_id, conversation.customer_id)
        masked = self.boundary.mask_input(resolved.text, place=place, actor=signed_in.operator_id, merchants=merchants)
        require_stored_size(masked.text)
        message = IncomingMessage(
            tenant_id=tenant_id,
            message_id=place.message_id,
            conversation_id=conversation_id,
            customer_id=conversation.customer_id,
            operator_id=signed_in.operator_id,
            masked_text=masked.text,
            grants=resolved.new_grants,
            mentions=find_mentions(masked.text, masked.tokens),
            key=key,
            body_digest=body_digest,
        )
        try:
            with self.database.work(tenant_id) as connection:
                insert_message(connection, message, now)
                # Before the message is in: a grant without a message harms nobody, an answer without its grants would read badly.
                tokens = list_record_tokens(connection, tenant_id=tenant_id, conversation_id=conversation_id)
                self.boundary.allow_tokens(tokens, place=place)
        except psycopg.errors.UniqueViolation:
            # The same key came twice at once and the other one was first.
            replay = self._find_replay(signed_in, conversation_id, key, body_digest)
            if replay is None:
                raise
            return replay
        return TakenMessage(place, signed_in, masked.text, body_digest, conversation.language, merchants, replayed=False)

    async def _answer(self, taken: TakenMessage, turn: LiveTurn) -> None:
        progress = _Progress()
        try:
            await self._ask_agents(taken, turn, progress)
        except PartUnclear:
            progress.notice = "agents_stopped"
        except PartDown:
            progress.notice = "agents_down"
        except MaskingFailed:
            progress.notice = "masking_failed"
        except AnswerBlocked as error:
            progress.notice = "leak_blocked"
            await run_in_threadpool(self._report_leak, taken.place, error)
        except TellergateError as error:
            _LOG.warning("turn_failed", message_id=taken.place.message_id, code=error.code)
            progress.notice = "agents_failed"
        except Exception:  # noqa: BLE001 - logged whole
            # Whatever went wrong, the reader gets an end and the message gets an answer row.
            _LOG.exception("turn_crashed", message_id=taken.place.message_id)
            progress.notice = "agents_failed"
        try:
            await self._decide_forgotten(taken, turn, progress)
            answer_id = await run_in_threadpool(self._store_answer, taken, progress)
        except Exception:  # noqa: BLE001 - logged whole
            _LOG.exception("answer_not_stored", message_id=taken.place.message_id)
            answer_id, progress.notice, progress.state = "", "answer_not_stored", "interrupted"
        await turn.publish(TurnFinished(progress.state, answer_id, progress.model, progress.notice))

    async def _ask_agents(self, taken: TakenMessage, turn: LiveTurn, progress: _Progress) -> None:
        request = TurnRequest(
            tenant_id=taken.place.tenant_id,
            tenant_context=self.mint_agent_context(taken.place.tenant_id),
            conversation_id=taken.place.conversation_id,
            message_id=taken.place.message_id,
            masked_text=taken.masked_text,
            language=taken.language,
            reader_roles=tuple(sorted(role.value for role in taken.sender.roles)),
        )
        async for event in self.agents.stream_turn(request):
            await self._take_event(event, taken, turn, progress)

    async def _take_event(self, event: AgentEvent, taken: TakenMessage, turn: LiveTurn, progress: _Progress) -> None:
        match event:
            case AgentSentence(sentence=sentence):
                await self._add_sentence(sentence, taken, turn, progress)
            case AgentQuestion(text=text):
                await self._add_sentence(Sentence(text=text, generated_by="template"), taken, turn, progress)
            case AgentProposal(proposal_id=proposal_id):
                await self._decide(proposal_id, taken, turn, progress)
            case AgentDone(message_state=state, model=model):
                progress.state, progress.model = state, model
                progress.notice = "" if state == "complete" else "agents_failed"

    async def _add_sentence(self, sentence: Sentence, taken: TakenMessage, turn: LiveTurn, progress: _Progress) -> None:
        text = await run_in_threadpool(
            self.boundary.mask_again, sentence.text, place=taken.place, actor=taken.sender.operator_id, merchants=taken.merchants
        )
        checked = sentence.model_copy(update={"text": text})
        progress.sentences.append(checked)
        await turn.publish(SentenceAdded(checked))

    def _report_leak(self, place: Place, error: AnswerBlocked) -> None:
        """Open the incident. What was blocked stays so whether or not it can be told."""
        try:
            with self.database.work(place.tenant_id) as connection:
                report_leak(connection, surface="stored", classes=error.classes, place=error.place, now=self.clock.now())
        except (TellergateError, psycopg.Error) as fault:
            _LOG.error("leak_not_reported", message_id=place.message_id, error=type(fault).__name__)

    async def _decide(self, proposal_id: str, taken: TakenMessage, turn: LiveTurn, progress: _Progress) -> None:
        if proposal_id in progress.proposal_ids or not await run_in_threadpool(self._is_of_turn, proposal_id, taken.place):
            return
        progress.proposal_ids.append(proposal_id)
        await turn.publish(ProposalSubmitted(proposal_id))
        try:
            view = await self.money.decide(taken.place.tenant_id, proposal_id)
        except TellergateError as error:
            _LOG.warning("proposal_undecided", proposal_id=proposal_id, code=error.code)
            await turn.publish(ProposalUndecided(proposal_id, error.code))
            return
        await turn.publish(ProposalDecided(proposal_id, view))

    async def _decide_forgotten(self, taken: TakenMessage, turn: LiveTurn, progress: _Progress) -> None:
        """Look into the inbox: the agents process may have proposed and died before it could say so."""
        rows = await run_in_threadpool(self._list_turn_proposals, taken.place)
        for proposal_id in rows:
            await self._decide(proposal_id, taken, turn, progress)

    def _list_turn_proposals(self, place: Place) -> tuple[str, ...]:
        with self.database.work(place.tenant_id) as connection:
            rows = list_proposals_of_message(connection, tenant_id=place.tenant_id, message_id=place.message_id)
        return tuple(row.proposal_id for row in rows)

    def _is_of_turn(self, proposal_id: str, place: Place) -> bool:
        return proposal_id in self._list_turn_proposals(place)

    def _store_answer(self, taken: TakenMessage, progress: _Progress) -> str:
        now, place = self.clock.now(), taken.place
        answer_id = make_id("msg", now)
        response: dict[str, Any] = {
            "answer_id": answer_id,
            "state": progress.state,
            "model": progress.model,
            "notice": progress.notice,
            "proposal_ids": progress.proposal_ids,
        }
        answer = StoredMessage(
            message_id=answer_id,
            author="assistant",
            operator_id=taken.sender.operator_id,
            masked_text=" ".join(sentence.text for sentence in progress.sentences),
            sentences=tuple(progress.sentences),
            state=progress.state,
            created_at=now,
        )
        with self.database.work(place.tenant_id) as connection:
            insert_answer(connection, answer, tenant_id=place.tenant_id, conversation_id=place.conversation_id)
            store_answer(
                connection,
                tenant_id=place.tenant_id,
                scope=ANSWER_SCOPE,
                key=place.message_id,
                body_digest=taken.body_digest,
                response=response,
                now=now,
            )
        return answer_id
