"""What happens when the bank says something: one transaction for what it said, the state, the event and the case."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Any

from psycopg import Connection

from domain.case import CaseKind
from domain.event import Event
from domain.ids import make_id
from serving.bank.backoff import Backoff
from serving.bank.port import KEY_CONFLICT, Ack, AckStatus
from serving.bank.wire import digest_acknowledgement, render_instruction_id
from storage.cases import open_case
from storage.events import append_event
from storage.outbox import (
    Acknowledgement,
    Channel,
    Instruction,
    InstructionState,
    has_acknowledgement,
    lock_instruction,
    mark_confirmed,
    mark_failed,
    mark_sent,
    record_acknowledgement,
)

Transact = Callable[[str], AbstractContextManager[Connection[Any]]]
_ASK_AGAIN = Backoff(base_s=30, cap_s=3600)


class Effect(StrEnum):
    """Name what an acknowledgement did to its instruction."""

    SENT = "sent"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    NONE = "none"
    """It was late or repeated: nothing changed."""
    CONTRADICTION = "contradiction"
    """It does not fit what the bank said before, or what we asked: nothing changed, and a person is asked."""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Hold how soon the bank is asked again, and how soon a person must have looked."""

    ask_again: Backoff = _ASK_AGAIN
    case_due_after: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Acknowledger:
    """Take what the bank says, by whichever way it came."""

    transact: Transact
    random: Random
    follow_up: FollowUp = FollowUp()

    def take(self, tenant_id: str, ack: Ack, *, channel: Channel, now: datetime) -> Effect:
        """Apply one. Idempotent, and in any order. Raises: UnknownInstruction, DatabaseUnavailable, CommitUnknown."""
        with self.transact(tenant_id) as connection:
            instruction = lock_instruction(connection, ack.instruction_id)
            digest = digest_acknowledgement(ack)
            if has_acknowledgement(connection, ack.instruction_id, digest):
                return Effect.NONE
            effect = effect_of(instruction, ack)
            record_acknowledgement(
                connection, _acknowledgement_of(tenant_id, ack, digest, channel=channel, effect=effect, now=now)
            )
            self._follow(connection, instruction, ack, effect, now)
        return effect

    def open_overdue_case(self, connection: Connection[Any], instruction: Instruction, *, now: datetime) -> None:
        """Ask a person to look at an instruction that the bank has said nothing final about for too long. Idempotent."""
        self._open(connection, instruction, occasion="overdue", reason_code=None, now=now)

    def _follow(self, connection: Connection[Any], instruction: Instruction, ack: Ack, effect: Effect, now: datetime) -> None:
        instruction_id, reference = instruction.instruction_id, ack.bank_reference
        match effect:
            case Effect.SENT:
                mark_sent(connection, instruction_id, now=now, next_attempt_at=self._next_question(now), bank_reference=reference)
            case Effect.CONFIRMED:
                if instruction.state == "pending":
                    mark_sent(connection, instruction_id, now=now)
                mark_confirmed(connection, instruction_id, now=now, bank_reference=reference)
            case Effect.FAILED:
                failure = ack.reason_code or "unknown"
                mark_failed(connection, instruction_id, failure=failure, now=now, bank_reference=reference)
                self._open(connection, instruction, occasion="refused", reason_code=ack.reason_code, now=now)
            case Effect.CONTRADICTION:
                self._open(connection, instruction, occasion="contradicted", reason_code=ack.reason_code, now=now)
            case Effect.NONE:
                return
        append_event(connection, _event_of(instruction, ack, effect, now))

    def _next_question(self, now: datetime) -> datetime:
        return now + self.follow_up.ask_again.wait_after(1, self.random)

    def _open(
        self, connection: Connection[Any], instruction: Instruction, *, occasion: str, reason_code: str | None, now: datetime
    ) -> None:
        amount_minor, currency = amount_of(instruction)
        transfer_id = _text_of(instruction, "transfer_id")
        instruction_id = render_instruction_id(instruction.instruction_id)
        # Only a refusal says that no money moved at the bank. Everything else needs the bank's word before anything is undone.
        reverse = occasion == "refused" and reason_code != KEY_CONFLICT and transfer_id is not None
        facts = {
            "instruction_id": instruction_id,
            "instruction_kind": instruction.kind,
            "reference": instruction.reference,
            "transfer_id": transfer_id,
            "occasion": occasion,
            "reason_code": reason_code,
            "state_before": instruction.state,
            "proposed_act": "reverse_transfer" if reverse else "ask_the_bank",
        }
        # The refusal's case bears the transfer's own name; what comes on top of it is another question.
        subject = (transfer_id or instruction_id) if occasion == "refused" else f"{instruction_id}:{occasion}"
        open_case(
            connection,
            kind=CaseKind.INSTRUCTION_FAILED,
            subject=subject,
            facts=facts,
            amount_minor=amount_minor,
            currency=currency,
            now=now,
            due_at=now + self.follow_up.case_due_after,
        )


_EFFECTS: dict[tuple[InstructionState, AckStatus], Effect] = {
    ("pending", AckStatus.ACCEPTED): Effect.SENT,
    ("pending", AckStatus.CONFIRMED): Effect.CONFIRMED,
    ("pending", AckStatus.REFUSED): Effect.FAILED,
    ("sent", AckStatus.ACCEPTED): Effect.NONE,
    ("sent", AckStatus.CONFIRMED): Effect.CONFIRMED,
    ("sent", AckStatus.REFUSED): Effect.FAILED,
    ("confirmed", AckStatus.ACCEPTED): Effect.NONE,
    ("confirmed", AckStatus.CONFIRMED): Effect.NONE,
    ("confirmed", AckStatus.REFUSED): Effect.CONTRADICTION,
    ("failed", AckStatus.ACCEPTED): Effect.NONE,
    ("failed", AckStatus.CONFIRMED): Effect.CONTRADICTION,
    ("failed", AckStatus.REFUSED): Effect.NONE,
}


def effect_of(instruction: Instruction, ack: Ack) -> Effect:
    """Say what an acknowledgement does to an instruction in its state. Pure."""
    if ack.amount_minor is not None and (ack.amount_minor, ack.currency) != amount_of(instruction):
        return Effect.CONTRADICTION
    return _EFFECTS[instruction.state, ack.status]


def amount_of(instruction: Instruction) -> tuple[int | None, str | None]:
    """Return the amount that an instruction names, (None, None) where it names none."""
    amount_minor, currency = instruction.payload.get("amount_minor"), instruction.payload.get("currency")
    return (amount_minor, currency) if isinstance(amount_minor, int) and isinstance(currency, str) else (None, None)


def _acknowledgement_of(
    tenant_id: str, ack: Ack, digest: str, *, channel: Channel, effect: Effect, now: datetime
) -> Acknowledgement:
    return Acknowledgement(
        tenant_id=tenant_id,
        instruction_id=ack.instruction_id,
        acknowledgement_digest=digest,
        status=ack.status.value,
        reason_code=ack.reason_code,
        bank_reference=ack.bank_reference,
        amount_minor=ack.amount_minor,
        currency=ack.currency,
        acknowledged_at=ack.acknowledged_at,
        received_at=now,
        channel=channel,
        effect=effect.value,
    )


def _event_of(instruction: Instruction, ack: Ack, effect: Effect, now: datetime) -> Event:
    """The bank's own id of it stays out: it is the bank's text, and events are for ever."""
    amount_minor, currency = amount_of(instruction)
    instruction_id = render_instruction_id(instruction.instruction_id)
    data = {
        "instruction_id": instruction_id,
        "kind": instruction.kind,
        "reference": instruction.reference,
        "transfer_id": _text_of(instruction, "transfer_id"),
        "status": ack.status.value,
        "reason_code": ack.reason_code,
        "state_before": instruction.state,
        "attempts": instruction.attempts,
    }
    event_type = "instruction.contradicted" if effect is Effect.CONTRADICTION else f"instruction.{effect.value}"
    return Event(
        event_id=make_id("evt", now),
        event_type=event_type,
        source="bank_relay",
        subject=instruction_id,
        tenant_id=instruction.tenant_id,
        occurred_at=now,
        recorded_at=now,
        account_id=_text_of(instruction, "account_id"),
        idempotency_key=instruction_id,
        amount_minor=amount_minor,
        currency=currency,
        data=data,
    )


def _text_of(instruction: Instruction, name: str) -> str | None:
    value = instruction.payload.get(name)
    return value if isinstance(value, str) else None
