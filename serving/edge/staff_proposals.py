"""What an operator proposes himself: his words as a message of his own, then the way of every proposal. The gate decides.

The proposal, its message and what that message mentions are one transaction, so that the origin of each argument is computed
from what he wrote. He names handles that his conversation grants and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import psycopg
import structlog
from psycopg import Connection
from psycopg.types.json import Jsonb
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from domain.canonical import digest_of
from domain.clock import Clock
from domain.conversation import Grant, HandleKind, Sentence
from domain.errors import InvalidInput, TellergateError
from domain.ids import make_id
from domain.mentions import find_mentions
from domain.money import InvalidMoney, Money, render_money
from domain.proposal import ARGUMENTS_OF, ActionKind, ModelTrace, Proposal, ProposedArguments
from serving.edge.action_cards import ActionCard
from serving.edge.boundary import Boundary, Place
from serving.edge.conversation import NotYourConversation
from serving.edge.database import EdgeDatabase
from serving.edge.live_turns import TurnHub
from serving.edge.message_store import (
    ANSWER_SCOPE,
    Conversation,
    IncomingMessage,
    StoredMessage,
    find_conversation,
    find_stored,
    insert_answer,
    insert_message,
    list_grants,
    list_proposals_of_message,
    store_answer,
    turn_scope,
)
from serving.edge.money_client import MoneyClient
from serving.edge.sessions import SignedIn
from serving.edge.transcript import Transcript
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "staff_proposals.sql")
_LOG = structlog.get_logger("edge.staff_proposals")
_NOTHING_READ = "0" * 64
_TRACE = ModelTrace(
    prompt_id="staff", prompt_sha256=_NOTHING_READ, masked_prompt_sha256=_NOTHING_READ, model="staff", generated_by="staff"
)
_ANSWER = "A person proposed this; no model had a part in it. The gate decides."
HANDLE_KINDS: Mapping[str, HandleKind] = MappingProxyType(
    {
        "transaction": HandleKind.TRANSACTION,
        "account": HandleKind.ACCOUNT,
        "beneficiary": HandleKind.BENEFICIARY,
        "card": HandleKind.CARD,
        "dispute": HandleKind.DISPUTE,
        "hold": HandleKind.HOLD,
        "case": HandleKind.CASE,
    }
)
"""Arguments that are handles, with what each must stand for."""


class WrongArguments(InvalidInput):
    """Say that a kind of act takes other arguments."""

    code = "wrong_arguments"


class HandleNotGranted(InvalidInput):
    """Say that a handle stands for nothing in this conversation, or for something else."""

    code = "handle_not_granted"


class DetailsNotReadable(InvalidInput):
    """Say that a payee's new details hold no account number, or more than one value."""

    code = "details_not_readable"


class StaffArguments(ProposedArguments):
    """Hold what a person asked for. `details` is what he typed; it becomes a token before it is stored."""

    details: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")] | None = None


@dataclass(frozen=True, slots=True)
class StaffProposals:
    """Take proposals of people in, and have the gate decide them."""

    database: EdgeDatabase
    boundary: Boundary
    money: MoneyClient
    hub: TurnHub
    transcript: Transcript
    clock: Clock

    async def propose(
        self, signed_in: SignedIn, *, conversation_id: str, kind: ActionKind, arguments: StaffArguments, key: str
    ) -> ActionCard:
        """Store a proposal with its message, ask the gate, and return how it stands.

        Idempotency: the same key with the same proposal returns the same one. Raises: WrongArguments, HandleNotGranted,
        DetailsNotReadable, UnknownConversation, NotYourConversation, KeyReused, StillAnswering, MaskingFailed.
        """
        _require_arguments(kind, arguments)
        body = {"conversation_id": conversation_id, "kind": kind.value, "arguments": arguments.to_record()}
        body_digest = digest_of(body)
        proposal_id = await run_in_threadpool(self._find_replay, signed_in, key, body_digest)
        if proposal_id is None:
            self.hub.reserve(conversation_id)
            try:
                proposal_id = await run_in_threadpool(self._take, signed_in, conversation_id, kind, arguments, key, body_digest)
            finally:
                self.hub.release(conversation_id)
        try:
            await self.money.decide(signed_in.tenant_id, proposal_id)
        except TellergateError as error:
            # It is stored: the money process decides it as soon as it can, and the card says how it stands.
            _LOG.warning("proposal_undecided", proposal_id=proposal_id, code=error.code)
        return await self.transcript.read_card(signed_in, proposal_id)

    def list_handles(self, signed_in: SignedIn, conversation_id: str) -> tuple[Grant, ...]:
        """Return what the person's own conversation may name. Raises: UnknownConversation, NotYourConversation."""
        with self.database.work(signed_in.tenant_id) as connection:
            _require_own(connection, signed_in, conversation_id)
            grants = list_grants(connection, tenant_id=signed_in.tenant_id, conversation_id=conversation_id)
        return tuple(grant for grant in grants if grant.granted)

    def _find_replay(self, signed_in: SignedIn, key: str, body_digest: str) -> str | None:
        tenant_id = signed_in.tenant_id
        with self.database.work(tenant_id) as connection:
            scope = turn_scope(signed_in.operator_id)
            stored = find_stored(connection, tenant_id=tenant_id, scope=scope, key=key, body_digest=body_digest)
            if stored is None:
                return None
            rows = list_proposals_of_message(connection, tenant_id=tenant_id, message_id=str(stored["message_id"]))
        return rows[0].proposal_id

    def _take(
        self,
        signed_in: SignedIn,
        conversation_id: str,
        kind: ActionKind,
        arguments: StaffArguments,
        key: str,
        body_digest: str,
    ) -> str:
        tenant_id, now = signed_in.tenant_id, self.clock.now()
        with self.database.work(tenant_id) as connection:
            conversation = _require_own(connection, signed_in, conversation_id)
            _require_granted(arguments, list_grants(connection, tenant_id=tenant_id, conversation_id=conversation_id))
        place = Place(tenant_id, conversation_id, conversation.customer_id, make_id("msg", now))
        proposal = Proposal(
            proposal_id=make_id("prp", now),
            tenant_id=tenant_id,
            conversation_id=conversation_id,
            message_id=place.message_id,
            kind=kind,
            arguments=self._mask(arguments, place, signed_in),
            trace=_TRACE,
            submitted_at=now,
        )
        try:
            with self.database.work(tenant_id) as connection:
                _insert(connection, proposal, place, signed_in, key, body_digest, now)
        except psycopg.errors.UniqueViolation:
            # The same key came twice at once and the other one was first.
            replayed = self._find_replay(signed_in, key, body_digest)
            if replayed is None:
                raise
            return replayed
        return proposal.proposal_id

    def _mask(self, arguments: StaffArguments, place: Place, signed_in: SignedIn) -> ProposedArguments:
        record = arguments.to_record()
        if arguments.details is not None:
            written = f"account number {arguments.details}"
            masked = self.boundary.mask_input(written, place=place, actor=signed_in.operator_id, merchants=())
            if len(masked.tokens) != 1 or masked.text != f"account number {masked.tokens[0]}":
                raise DetailsNotReadable("details must be exactly one account number or IBAN, and nothing else")
            record["details"] = masked.tokens[0]
        return ProposedArguments.model_validate(record)


def _require_arguments(kind: ActionKind, arguments: StaffArguments) -> None:
    wanted = ARGUMENTS_OF.get(kind)
    if wanted is None:
        raise WrongArguments(f"nobody can propose {kind.value!r}")
    given = arguments.to_record().keys() - {"reason_code"}
    faults = [f"{name} is missing" for name in sorted(wanted - given)]
    faults += [f"{name} does not belong to it" for name in sorted(given - wanted)]
    if faults:
        raise WrongArguments(f"{kind.value}: {', '.join(faults)}")
    if arguments.amount_minor is not None:
        try:
            Money(arguments.amount_minor, str(arguments.currency))
        except InvalidMoney as error:
            raise WrongArguments(f"amount_minor, currency: {error}") from error


def _require_own(connection: Connection[Any], signed_in: SignedIn, conversation_id: str) -> Conversation:
    conversation = find_conversation(connection, tenant_id=signed_in.tenant_id, conversation_id=conversation_id)
    if conversation.operator_id != signed_in.operator_id:
        raise NotYourConversation("somebody else opened this conversation: open your own about this customer")
    return conversation


def _require_granted(arguments: StaffArguments, grants: tuple[Grant, ...]) -> None:
    by_handle = {grant.handle: grant for grant in grants}
    for name, handle in arguments.to_record().items():
        if name not in HANDLE_KINDS:
            continue
        grant = by_handle.get(handle)
        if grant is None or not grant.granted or grant.kind is not HANDLE_KINDS[name]:
            raise HandleNotGranted(f"{name}: {handle} stands for no {HANDLE_KINDS[name].value} in this conversation")


def write_message(kind: ActionKind, arguments: ProposedArguments) -> str:
    """Write what a person proposed as the text of his own message: handles, tokens and amounts, no other value."""
    words = [f"{name} {value}" for name, value in arguments.to_record().items() if name not in {"amount_minor", "currency"}]
    if arguments.amount_minor is not None:
        words.append(f"amount {render_money(Money(arguments.amount_minor, str(arguments.currency)))}")
    return f"I propose {kind.value}: {', '.join(words)}"


def _insert(
    connection: Connection[Any],
    proposal: Proposal,
    place: Place,
    signed_in: SignedIn,
    key: str,
    body_digest: str,
    now: datetime,
) -> None:
    text = write_message(proposal.kind, proposal.arguments)
    details = proposal.arguments.details
    message = IncomingMessage(
        tenant_id=place.tenant_id,
        message_id=place.message_id,
        conversation_id=place.conversation_id,
        customer_id=place.customer_id,
        operator_id=signed_in.operator_id,
        masked_text=text,
        grants=(),
        mentions=find_mentions(text, () if details is None else (details,)),
        key=key,
        body_digest=body_digest,
    )
    insert_message(connection, message, now)
    row = proposal.model_dump(mode="python", exclude={"arguments", "trace"})
    row |= {"arguments": Jsonb(proposal.arguments.to_record()), "trace": Jsonb(proposal.trace.model_dump(mode="json"))}
    connection.execute(
        _QUERIES["insert_staff_proposal"], {**row, "kind": proposal.kind.value, "proposed_by": signed_in.operator_id}
    )
    _insert_answer(connection, proposal, place, signed_in, body_digest, now)


def _insert_answer(
    connection: Connection[Any], proposal: Proposal, place: Place, signed_in: SignedIn, body_digest: str, now: datetime
) -> None:
    """End the turn: nobody but the gate answers it."""
    answer = StoredMessage(
        message_id=make_id("msg", now),
        author="assistant",
        operator_id=signed_in.operator_id,
        masked_text=_ANSWER,
        sentences=(Sentence(text=_ANSWER, generated_by="template"),),
        state="complete",
        created_at=now,
    )
    insert_answer(connection, answer, tenant_id=place.tenant_id, conversation_id=place.conversation_id)
    store_answer(
        connection,
        tenant_id=place.tenant_id,
        scope=ANSWER_SCOPE,
        key=place.message_id,
        body_digest=body_digest,
        response={
            "answer_id": answer.message_id,
            "state": answer.state,
            "model": "none",
            "notice": "",
            "proposal_ids": [proposal.proposal_id],
        },
        now=now,
    )
