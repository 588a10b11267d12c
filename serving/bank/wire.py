"""What an instruction and an acknowledgement look like outside: one JSON object each, the same over HTTP and in files."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from domain.canonical import canonical_bytes, digest_of
from domain.clock import parse_time, render_time
from domain.errors import InvalidInput
from domain.ids import uuid_of
from domain.money import EXPONENTS
from masking.validators import is_iban, is_luhn
from serving.bank.port import Ack, AckStatus, BankInstruction

MAX_ACKNOWLEDGEMENT_BYTES = 64 * 1024
_InstructionId = Annotated[str, Field(pattern=r"^ins_[0-9a-f]{32}$", examples=["ins_0192f0c1a2b37c4d8e5f60718293a4b5"])]


class UnreadableAcknowledgement(InvalidInput):
    """Say why a text is no acknowledgement."""

    code = "unreadable_acknowledgement"


class InstructionOut(BaseModel):
    """An instruction to the bank. `instruction_id` is the idempotency key: carry each one out once, however often it comes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["tellergate-instruction/1"] = "tellergate-instruction/1"
    instruction_id: _InstructionId
    tenant_id: str
    kind: Annotated[str, Field(examples=["refund"])]
    reference: Annotated[str, Field(description="What caused it here, such as a decision id.")]
    created_at: Annotated[str, Field(description="RFC 3339, UTC.", examples=["2026-05-04T09:30:00.000000Z"])]
    payload: Annotated[dict[str, Any], Field(description="The transfer: ids of your own records, amount_minor, currency.")]


class AcknowledgementIn(BaseModel):
    """What the bank says of an instruction. Repeated and late ones do no harm; each field says the same every time."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["tellergate-acknowledgement/1"]
    instruction_id: _InstructionId
    status: Literal["accepted", "confirmed", "refused"]
    reason_code: Annotated[
        str | None, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="Why, with `refused` only.", examples=["account_closed"])
    ] = None
    bank_reference: Annotated[
        str | None, Field(pattern=r"^[A-Za-z0-9._:-]{1,80}$", description="Your own id of it; no account or card number.")
    ] = None
    amount_minor: Annotated[int | None, Field(gt=0, le=2**53 - 1, description="What you moved; compared with what we asked.")] = (
        None
    )
    currency: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$")] = None
    acknowledged_at: Annotated[str | None, Field(max_length=40, description="RFC 3339, your time of it.")] = None

    @field_validator("currency")
    @classmethod
    def _listed(cls, currency: str | None) -> str | None:
        if currency is not None and currency not in EXPONENTS:
            raise ValueError("no currency that we hold")
        return currency

    @field_validator("acknowledged_at")
    @classmethod
    def _is_time(cls, text: str | None) -> str | None:
        try:
            _time_of(text)
        except (InvalidInput, OverflowError):
            raise ValueError("expected an RFC 3339 time with its zone") from None
        return text

    @model_validator(mode="after")
    def _whole(self) -> AcknowledgementIn:
        if (self.status == "refused") != (self.reason_code is not None):
            raise ValueError("a reason_code stands with `refused`, and only there")
        if (self.amount_minor is None) != (self.currency is None):
            raise ValueError("amount_minor and currency stand together")
        return self


def render_instruction(instruction: BankInstruction) -> bytes:
    """Write the canonical bytes of an instruction: the same each time it is sent. Raises: NotCanonical."""
    return canonical_bytes(
        InstructionOut(
            instruction_id=render_instruction_id(instruction.instruction_id),
            tenant_id=instruction.tenant_id,
            kind=instruction.kind,
            reference=instruction.reference,
            created_at=render_time(instruction.created_at),
            payload=dict(instruction.payload),
        )
    )


def parse_acknowledgement(raw: bytes) -> Ack:
    """Read one acknowledgement. Raises: UnreadableAcknowledgement, which names the field and never quotes it."""
    if len(raw) > MAX_ACKNOWLEDGEMENT_BYTES:
        raise UnreadableAcknowledgement(f"an acknowledgement has at most {MAX_ACKNOWLEDGEMENT_BYTES:,} bytes")
    try:
        value = json.loads(raw, object_pairs_hook=_refuse_repeated)
        read = AcknowledgementIn.model_validate(value)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'object'}: {fault['msg']}" for fault in error.errors())
        raise UnreadableAcknowledgement(faults) from None
    except (ValueError, RecursionError) as error:
        raise UnreadableAcknowledgement(f"no JSON object: {type(error).__name__}") from None
    return Ack(
        instruction_id=uuid_of(read.instruction_id),
        status=AckStatus(read.status),
        reason_code=read.reason_code,
        bank_reference=_without_regulated(read.bank_reference),
        amount_minor=read.amount_minor,
        currency=read.currency,
        acknowledged_at=_time_of(read.acknowledged_at),
    )


def render_instruction_id(instruction_id: UUID) -> str:
    """Write the id as it stands outside."""
    return f"ins_{instruction_id.hex}"


def digest_acknowledgement(ack: Ack) -> str:
    """Return the digest that makes two acknowledgements the same: everything but when it was said."""
    return digest_of(
        {
            "instruction_id": render_instruction_id(ack.instruction_id),
            "status": ack.status.value,
            "reason_code": ack.reason_code,
            "bank_reference": ack.bank_reference,
            "amount_minor": ack.amount_minor,
            "currency": ack.currency,
        }
    )


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice")
    return made


def _without_regulated(reference: str | None) -> str | None:
    """A bank may use an account or card number as its id; such a value stays out of our tables, its digest tells it apart."""
    if reference is None or not (is_iban(reference) or (reference.isdigit() and is_luhn(reference))):
        return reference
    return f"digest:{digest_of({'bank_reference': reference})[:32]}"


def _time_of(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)
