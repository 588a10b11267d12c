"""What the database answers to an execution: a code, and the posting as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ExecutionCode(StrEnum):
    """Name the outcome of an execution. The order is the precedence: the first that applies is the answer.

    POSTED, HELD and EXECUTED are what remains when nothing else applies; a repeat of the last two reads the same again. Only
    ALREADY_POSTED and POSTED come with a posting.
    """

    DECISION_NOT_FOUND = "decision_not_found"
    ALREADY_POSTED = "already_posted"
    DECISION_CONSUMED = "decision_consumed"
    TRANSFER_ID_TAKEN = "transfer_id_taken"
    ACTION_NOT_EXECUTABLE = "action_not_executable"
    OUTCOME_NOT_ALLOW = "outcome_not_allow"
    FROZEN = "frozen"
    DECISION_SUPERSEDED = "decision_superseded"
    DECISION_NOT_YET_VALID = "decision_not_yet_valid"
    DECISION_EXPIRED = "decision_expired"
    DIGEST_MISMATCH = "digest_mismatch"
    HOLD_NOT_OPEN = "hold_not_open"
    TRANSACTION_NOT_FOUND = "transaction_not_found"
    TRANSACTION_NOT_REFUNDABLE = "transaction_not_refundable"
    ACCOUNT_NOT_FOUND = "account_not_found"
    ACCOUNT_MISMATCH = "account_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"
    EXCEEDS_REFUNDABLE = "exceeds_refundable"
    EXCEEDS_DISPUTE = "exceeds_dispute"
    BENEFICIARY_NOT_FOUND = "beneficiary_not_found"
    BENEFICIARY_MISMATCH = "beneficiary_mismatch"
    REFUSED_BEFORE = "refused_before"
    NOT_AUTHORIZED = "not_authorized"
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_STOPPED = "account_stopped"
    LIMIT_EXCEEDED = "limit_exceeded"
    BALANCE_OUT_OF_RANGE = "balance_out_of_range"
    HELD = "held"
    EXECUTED = "executed"
    POSTED = "posted"


@dataclass(frozen=True, slots=True)
class Posting:
    """Hold a transfer as read back from the ledger: positive amount, both sides with version and balance after it.

    A rolled-up account has no balance after it, and its version only orders its entries.
    """

    transfer_id: UUID
    decision_id: str
    transaction_id: str | None
    amount_minor: int
    currency: str
    debit: str
    credit: str
    debit_version: int
    credit_version: int
    debit_balance_after_minor: int | None
    credit_balance_after_minor: int | None
    posted_at: datetime
    event_id: UUID


@dataclass(frozen=True, slots=True)
class Execution:
    """Hold the answer to one execution. `posting` is there exactly when the ledger has posted or released, now or before."""

    code: ExecutionCode
    decision_id: str
    posting: Posting | None
