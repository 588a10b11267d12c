"""What can be asked of the ledger, and what it answers: kinds, codes, and the written precedence of the answers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from uuid import UUID

MAX_AMOUNT_MINOR = 2**53 - 1
"""No amount and no balance passes this: balances stand in signed JSON, which holds integers exactly to here."""

MAX_BATCH = 8_000
"""Requests in one call."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TransferKind(StrEnum):
    """Name what a transfer does. Transfers are never changed; each of these is a row of its own."""

    POSTED = "posted"
    """Moves money at once."""
    PENDING = "pending"
    """Places a hold: the amount counts against the limits of both accounts, and moves nothing."""
    POST = "post"
    """Turns a hold into a posting, wholly or in part; what is not posted is released."""
    VOID = "void"
    """Releases a hold. Its amount is the hold's."""
    EXPIRE = "expire"
    """Releases a hold whose time has passed. Made by the ledger's own job only."""
    REVERSE = "reverse"
    """Moves money back, wholly or in part: the target's accounts swapped, never more in all than the target moved."""


class TransferCode(IntEnum):
    """Say what a transfer is for. The number is stored; names are the actions of the gate, or acts of the ledger itself."""

    REFUND = 1
    FEE_REVERSAL = 2
    GOODWILL_CREDIT = 3
    PROVISIONAL_CREDIT = 4
    PAYMENT = 5
    HOLD_RELEASE = 6
    DISPUTE_WRITEOFF = 7
    EXCHANGE = 8
    FEE = 9
    SETTLEMENT = 10
    OPENING_BALANCE = 90
    IMPORT = 91
    EXPIRY = 92


SYSTEM_CODES = frozenset({TransferCode.OPENING_BALANCE, TransferCode.IMPORT, TransferCode.EXPIRY})
"""These need no decision and have rights of their own; no decision can authorize them."""


class Balancing(StrEnum):
    """Say which account's room caps the amount: the transfer moves at most what that account's limit leaves."""

    DEBIT = "debit"
    CREDIT = "credit"


class ResultCode(StrEnum):
    """Name the answer to one request. The order is the precedence: the first that applies is the answer.

    Four passes: the request by itself (up to CHAIN_OPEN), its id (up to REFUSED_BEFORE), its decision (up to DIGEST_MISMATCH),
    the accounts. A chain goes through each pass as a whole; its first leg that fails a pass names the code, every other leg
    answers LINKED_FAILED. What fails in the first three passes writes nothing. What fails in the last one uses the decision up
    and is remembered: that id is REFUSED_BEFORE for good, so that a retry cannot slip through later.
    """

    AMOUNT_NOT_POSITIVE = "amount_not_positive"
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"
    ACCOUNTS_THE_SAME = "accounts_the_same"
    FIELDS_DO_NOT_FIT_KIND = "fields_do_not_fit_kind"
    """A target without need or missing, an expiry on anything but a hold or not in the future, balancing on a post or void,
    a system code, or EXPIRE from outside."""
    CHAIN_OPEN = "chain_open"
    """The last request of the call is linked to a next one that is not there."""
    LINKED_FAILED = "linked_failed"
    """Another leg of the chain failed."""
    ALREADY_ACCEPTED = "already_accepted"
    """The same id with the same body was accepted before: the stored answer. In a chain: only if every leg was."""
    ID_CONFLICT = "id_conflict"
    """The id was accepted or refused with another body, or a chain holds an id that was accepted without the rest."""
    REFUSED_BEFORE = "refused_before"
    """The same id with the same body was refused before; `refused_code` says why."""
    NOT_AUTHORIZED = "not_authorized"
    """No decision allows this id: there never was one, it was superseded, or it was used."""
    DECISION_NOT_YET_VALID = "decision_not_yet_valid"
    DECISION_EXPIRED = "decision_expired"
    DIGEST_MISMATCH = "digest_mismatch"
    """A live decision allows this id with another body."""
    DEBIT_ACCOUNT_NOT_FOUND = "debit_account_not_found"
    CREDIT_ACCOUNT_NOT_FOUND = "credit_account_not_found"
    """Unknown, another tenant's, or in another currency."""
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_STOPPED = "account_stopped"
    """An incident stopped posting on an account. A hold can still be voided, and expires, on a closed or stopped account."""
    TARGET_NOT_FOUND = "target_not_found"
    TARGET_OF_ANOTHER_KIND = "target_of_another_kind"
    """POST or VOID of what is no hold; REVERSE of what did not move money, or was itself a reversal."""
    TARGET_MISMATCH = "target_mismatch"
    """Other accounts than the target's (REVERSE: not those swapped), or a VOID of another amount than the hold's."""
    HOLD_POSTED = "hold_posted"
    HOLD_VOIDED = "hold_voided"
    HOLD_EXPIRED = "hold_expired"
    """Its time has passed, whether or not the job has written the expiry yet."""
    EXCEEDS_HELD = "exceeds_held"
    EXCEEDS_REVERSIBLE = "exceeds_reversible"
    NOTHING_TO_BALANCE = "nothing_to_balance"
    LIMIT_EXCEEDED = "limit_exceeded"
    BALANCE_OUT_OF_RANGE = "balance_out_of_range"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """Ask for one transfer between two account codes. A value as it comes; whether it makes sense is the ledger's answer.

    `target_id`: the hold of a POST, VOID or EXPIRE, the transfer of a REVERSE. `linked`: stands or falls with the next request.
    """

    transfer_id: UUID
    kind: TransferKind
    debit: str
    credit: str
    amount_minor: int
    currency: str
    code: TransferCode
    occurred_at: datetime
    target_id: UUID | None = None
    hold_expires_at: datetime | None = None
    linked: bool = False
    balancing: Balancing | None = None


@dataclass(frozen=True, slots=True)
class TransferResult:
    """Hold the answer to one request. Amount, versions and balances are there exactly when it is or was accepted.

    `amount_minor` is what moved: less than asked for when balancing. The side of an account that is rolled up has no
    balance-after; its version orders its entries but has gaps.
    """

    transfer_id: UUID
    code: ResultCode
    refused_code: ResultCode | None = None
    amount_minor: int | None = None
    debit_version: int | None = None
    credit_version: int | None = None
    debit_balance_after_minor: int | None = None
    credit_balance_after_minor: int | None = None
    recorded_at: datetime | None = None


def digest_transfer(request: TransferRequest, *, tenant_id: str) -> bytes:
    """Return the SHA-256 (32 bytes) over all that a decision allows; the event time is not part of it.

    `ledger.digest_of_transfer` in the database is the same function.
    """
    expiry = "" if request.hold_expires_at is None else str((request.hold_expires_at - _EPOCH) // timedelta(microseconds=1))
    parts = (
        "transfer", tenant_id, str(request.transfer_id), request.kind.value, request.debit, request.credit,
        str(request.amount_minor), request.currency, str(int(request.code)), str(request.target_id or ""), expiry,
        "1" if request.linked else "0", request.balancing.value if request.balancing else "",
    )  # fmt: skip
    return hashlib.sha256("|".join(parts).encode()).digest()
