"""Build what is put forward, by code, from a reading. Its id follows from message and action: a repeat is the same proposal."""

from __future__ import annotations

import re
from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from agents.support.facts import FactSheet, TransactionFact
from agents.support.loading import QUERIES
from agents.support.reading import Intent, Reading
from agents.support.turn_types import TurnInput
from domain.canonical import digest_of
from domain.money import Money
from domain.proposal import MAX_PROPOSED_MINOR, ActionKind, ModelTrace, Proposal, ReasonCode, RefundArguments

# Nothing is known about a reference outside the grants, its amount neither; the gate refuses it for being outside.
_UNKNOWN_AMOUNT_MINOR = 1
_NOT_RECEIVED = re.compile(r"\b(not|never|n[o']t)\b.{0,20}\b(received|arrived?|delivered|come)\b", re.IGNORECASE)
_CREDIT_MISSING = re.compile(
    r"\b(merchant|shop|store|seller)\b.{0,60}\b(promised|agreed|confirmed|owes)\b|\breturned (it|the|them|goods)", re.IGNORECASE
)


def build_refund(turn: TurnInput, reading: Reading, facts: FactSheet, trace: ModelTrace) -> Proposal | None:
    """Return the refund that a sure reading asks for; None when it asks for none, or for an amount that cannot be one.

    An amount in the message stays as asked, also beyond the charge: the gate decides.
    """
    if reading.action != "refund" or reading.sureness != "sure" or reading.handle is None:
        return None
    fact = facts.find(reading.handle)
    money = _asked_amount(reading, fact, facts)
    if money is None or not 0 < money.amount_minor <= MAX_PROPOSED_MINOR:
        return None
    arguments = RefundArguments(
        transaction=reading.handle,
        amount_minor=money.amount_minor,
        currency=money.currency,
        reason_code=_reason(turn, reading, fact, facts),
    )
    return Proposal(
        proposal_id=proposal_id_of(turn, ActionKind.REFUND, arguments),
        tenant_id=turn.tenant_id,
        conversation_id=turn.conversation_id,
        message_id=turn.message_id,
        kind=ActionKind.REFUND,
        arguments=arguments,
        trace=trace,
        submitted_at=turn.started_at,
    )


def proposal_id_of(turn: TurnInput, kind: ActionKind, arguments: RefundArguments) -> str:
    """Derive the id from message and action."""
    digest = digest_of(
        {
            "tenant_id": turn.tenant_id,
            "message_id": turn.message_id,
            "kind": kind.value,
            "arguments": arguments.to_record(),
        }
    )
    return f"prp_{digest[:32]}"


async def insert_proposal(connection: AsyncConnection[Any], proposal: Proposal) -> None:
    """Put it into the inbox. Idempotent by its id."""
    await connection.execute(
        QUERIES["insert_proposal"],
        {
            "tenant_id": proposal.tenant_id,
            "proposal_id": proposal.proposal_id,
            "conversation_id": proposal.conversation_id,
            "message_id": proposal.message_id,
            "kind": proposal.kind.value,
            "arguments": Jsonb(proposal.arguments.to_record()),
            "trace": Jsonb(proposal.trace.model_dump(mode="json")),
            "submitted_at": proposal.submitted_at,
        },
    )


def _asked_amount(reading: Reading, fact: TransactionFact | None, facts: FactSheet) -> Money | None:
    if reading.amount_minor is not None and reading.currency is not None:
        return Money(reading.amount_minor, reading.currency)
    if fact is not None:
        return fact.money
    currency = facts.accounts[0].currency if facts.accounts else None
    return Money(_UNKNOWN_AMOUNT_MINOR, currency) if currency else None


def _reason(turn: TurnInput, reading: Reading, fact: TransactionFact | None, facts: FactSheet) -> ReasonCode:
    if any(pair.repeat == reading.handle for pair in facts.duplicates) or reading.intent is Intent.DUPLICATE_CHARGE:
        return ReasonCode.DUPLICATE_CHARGE
    if fact is not None and fact.kind == "fee":
        return ReasonCode.FEE_ERROR
    if _NOT_RECEIVED.search(turn.masked_text):
        return ReasonCode.GOODS_NOT_RECEIVED
    if _CREDIT_MISSING.search(turn.masked_text):
        return ReasonCode.MERCHANT_CREDIT_MISSING
    return ReasonCode.OTHER
