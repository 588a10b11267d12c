"""What every ledger offers: ours in Postgres, its twin in memory, one of somebody else's behind an adapter.

All of it is for one tenant. `tests/conformance/ledger` is the contract in full; whatever passes it may stand here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.errors import Conflict, InvalidInput, NotFound
from domain.transfer import Balancing, TransferCode, TransferKind, TransferRequest, TransferResult


class AccountExists(Conflict):
    """Say that an account is open already, with other flags than those asked for."""

    code = "account_exists"


class AccountInUse(Conflict):
    """Say that an account can't be closed while holds on it are open."""

    code = "account_in_use"


class AccountNotFound(NotFound):
    """Say that there is no such account in this currency for this tenant."""

    code = "account_not_found"


class AlreadyUsed(Conflict):
    """Say that an id can't be authorized: it was accepted or refused before, or another decision names it and stands."""

    code = "already_used"


class BatchTooLarge(InvalidInput):
    """Say that one call carried more requests than `domain.transfer.MAX_BATCH`."""

    code = "batch_too_large"


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """Hold an account's sums in one snapshot. `balance_minor` is credits minus debits, posted only.

    `version` counts the account's entries.
    """

    code: str
    currency: str
    balance_minor: int
    debits_posted_minor: int
    credits_posted_minor: int
    debits_pending_minor: int
    credits_pending_minor: int
    version: int


@dataclass(frozen=True, slots=True)
class TrialBalanceLine:
    """Hold one currency's posted sums over all accounts. The two are equal, or the ledger is broken."""

    currency: str
    debits_posted_minor: int
    credits_posted_minor: int


class Side(StrEnum):
    """Say on which side of an account an entry stands."""

    DEBIT = "debit"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """Hold one side of one transfer, as the account's statement shows it.

    `version` is the cursor: 1, 2, 3 …; on a rolled-up account it has gaps. `balance_after_minor` is credits minus debits
    posted; None on a rolled-up account.
    """

    version: int
    transfer_id: UUID
    kind: TransferKind
    code: TransferCode
    side: Side
    other_account: str
    amount_minor: int
    balance_after_minor: int | None
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hold one accepted transfer as it was written. `decision_id` is None for what the ledger does by itself."""

    transfer_id: UUID
    kind: TransferKind
    debit: str
    credit: str
    amount_minor: int
    currency: str
    code: TransferCode
    target_id: UUID | None
    hold_expires_at: datetime | None
    linked: bool
    balancing: Balancing | None
    decision_id: str | None
    debit_version: int
    credit_version: int
    debit_balance_after_minor: int | None
    credit_balance_after_minor: int | None
    occurred_at: datetime
    recorded_at: datetime


class HoldState(StrEnum):
    """Say what became of a hold. `pending` until a transfer says otherwise, even when its time has passed."""

    PENDING = "pending"
    POSTED = "posted"
    VOIDED = "voided"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Hold:
    """Hold what a pending transfer set aside and what became of it. `posted_minor` is 0 unless it was posted."""

    transfer_id: UUID
    debit: str
    credit: str
    currency: str
    held_minor: int
    expires_at: datetime | None
    state: HoldState = HoldState.PENDING
    posted_minor: int = 0
    resolved_by: UUID | None = None


class Ledger(Protocol):
    """Keep double entry for one tenant. Each call is atomic; each read is one snapshot."""

    def open_account(
        self,
        code: str,
        currency: str,
        *,
        debits_must_not_exceed_credits: bool = False,
        credits_must_not_exceed_debits: bool = False,
        rolled_up: bool = False,
    ) -> None:
        """Open an account in a currency. The same again does nothing.

        Raises: AccountExists when it is there with other flags; InvalidInput for a code or currency of the wrong shape, and for a
        rolled-up account with a limit.
        """
        ...

    def close_account(self, code: str, currency: str) -> None:
        """Let nothing more be posted to it. Idempotent. Raises: AccountNotFound; AccountInUse while holds are open."""
        ...

    def stop_account(self, code: str, currency: str) -> None:
        """Stop posting on it, as an incident does. Idempotent. Raises: AccountNotFound."""
        ...

    def authorize(self, requests: Sequence[TransferRequest], *, valid_from: datetime, valid_until: datetime) -> str:
        """Write down a decision that allows these very requests from `valid_from` until before `valid_until`; return its id.

        Raises, with nothing written: AlreadyUsed for an id that was accepted or refused, or that a decision names which was not
        superseded, expired or not; InvalidInput for no request, for an id twice, for a time that ends before it begins.
        """
        ...

    def supersede(self, decision_id: str) -> None:
        """Take back what the decision allowed and was not used. Raises: NotFound for one that never was."""
        ...

    def apply(self, requests: Sequence[TransferRequest], *, now: datetime) -> list[TransferResult]:
        """Answer each request, in their order, as if they had come one after the other.

        Raises: BatchTooLarge; InvalidInput for a value of another type than the field's. Nothing is written then.
        """
        ...

    def expire_holds(self, *, now: datetime, limit: int = 1000) -> int:
        """Release open holds whose time has passed, the longest due first; return how many."""
        ...

    def roll_up(self) -> int:
        """Take waiting entries of rolled-up accounts into their stored sums; return how many. No balance changes."""
        ...

    def find_balance(self, code: str, currency: str) -> AccountBalance | None:
        """Return the account's sums now."""
        ...

    def find_balance_at(self, code: str, currency: str, at: datetime) -> AccountBalance | None:
        """Return the account's sums over the entries recorded at `at` or before."""
        ...

    def list_entries(self, code: str, currency: str, *, after: int | None, limit: int) -> list[StatementLine]:
        """Return up to `limit` lines with a version above `after`, oldest first."""
        ...

    def find_transfer(self, transfer_id: UUID) -> Transfer | None:
        """Return an accepted transfer."""
        ...

    def find_hold(self, transfer_id: UUID) -> Hold | None:
        """Return what a pending transfer set aside, and what became of it."""
        ...

    def list_trial_balance(self) -> list[TrialBalanceLine]:
        """Return one line per currency that has accounts, by currency."""
        ...
