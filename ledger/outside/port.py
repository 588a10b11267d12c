"""The port: what any outside ledger offers to us. It has a clock and authorizations of its own; we have our ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from domain.errors import Unavailable
from domain.transfer import TransferRequest, TransferResult
from ledger.port import AccountBalance, StatementLine, Transfer

MAX_LINES = 1_000
"""Lines of a statement in one call."""


class OutsideLedgerUnavailable(Unavailable):
    """Say that no clear answer came: it may have acted. The same requests with the same ids again give the answer, once."""

    code = "outside_ledger_unavailable"


class OutsideLedger(Protocol):
    """Keep double entry for one tenant, elsewhere. Every method raises OutsideLedgerUnavailable when there is no clear answer.

    `tests/conformance/outside_ledger` is the contract in full.
    """

    def open_account(
        self,
        code: str,
        currency: str,
        *,
        debits_must_not_exceed_credits: bool = False,
        credits_must_not_exceed_debits: bool = False,
    ) -> None:
        """Open an account in a currency. The same again does nothing.

        Raises: AccountExists when it is there with other flags; InvalidInput for a code or currency of the wrong shape.
        """
        ...

    def apply(self, requests: Sequence[TransferRequest]) -> list[TransferResult]:
        """Answer each request in order: post, hold, post or void a hold, reverse. A refusal is a code.

        Idempotent by `transfer_id`: the same request again gives the stored answer. Raises, with nothing written: BatchTooLarge;
        InvalidInput for a value of another type than the field's.
        """
        ...

    def find_balance(self, code: str, currency: str) -> AccountBalance | None:
        """Return the account's sums now, with what is held, in one snapshot; None without such an account."""
        ...

    def find_transfer(self, transfer_id: UUID) -> Transfer | None:
        """Return an accepted transfer, None when there is none of this id."""
        ...

    def list_entries(self, code: str, currency: str, *, after: int | None, limit: int) -> list[StatementLine]:
        """Return up to `limit` (at most MAX_LINES) lines with a version above `after`, oldest first."""
        ...
