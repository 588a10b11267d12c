"""What the relay needs of a bank, whatever it is reached by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.errors import TellergateError, Unavailable

KEY_CONFLICT = "key_conflict"
"""The bank holds another instruction under this key: a refusal that says nothing about whether money moved."""


class BankUnavailable(Unavailable):
    """Say that the bank gave no answer that can be used: it may have acted. Ask for the key before sending again."""

    code = "bank_unavailable"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: int = 0) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class AckStatus(StrEnum):
    """Name what the bank says of an instruction."""

    ACCEPTED = "accepted"
    """The bank has it and will carry it out."""
    CONFIRMED = "confirmed"
    """The bank carried it out."""
    REFUSED = "refused"
    """The bank did not and will not carry it out."""


@dataclass(frozen=True, slots=True)
class BankInstruction:
    """Hold what goes to the bank; `instruction_id` is the idempotency key. `payload` names records of the bank, no person."""

    tenant_id: str
    instruction_id: UUID
    kind: str
    reference: str
    payload: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Ack:
    """Hold one acknowledgement. `reason_code` is there exactly when the bank refused; an amount only if it says one."""

    instruction_id: UUID
    status: AckStatus
    reason_code: str | None = None
    bank_reference: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    acknowledged_at: datetime | None = None


class BankAdapter(Protocol):
    """Speak to one bank. Both methods raise BankUnavailable, and nothing else, when there is no clear answer."""

    def send(self, instruction: BankInstruction) -> Ack:
        """Hand the instruction over. Idempotent: the same key and body again have the effect of one, and give its state.

        A refusal is a value; another body under a known key is one with reason KEY_CONFLICT.
        """
        ...

    def find(self, instruction_id: UUID) -> Ack | None:
        """Return what the bank says of this key now, None when it never heard of it."""
        ...

    def close(self) -> None:
        """Let connections go. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class AckLine:
    """Hold one line of a delivery: an acknowledgement, or why it is none."""

    number: int
    ack: Ack | TellergateError


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """Hold a line that had no effect, and why."""

    number: int
    code: str
    detail: str


class AckFeed(Protocol):
    """Bring acknowledgements that nobody asked for, in deliveries. A delivery that is not finished comes again."""

    def list_deliveries(self) -> Sequence[str]:
        """Return the names of what waits, oldest first."""
        ...

    def read_delivery(self, name: str) -> Iterator[AckLine]:
        """Read one. Raises: BankUnavailable."""
        ...

    def finish_delivery(self, name: str, rejected: Sequence[RejectedLine]) -> None:
        """Put it away, with what was wrong in it beside it. Raises: BankUnavailable."""
        ...
