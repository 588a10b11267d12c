"""Our own ledger behind the port: it differs by the clock that it is given and by what only we may ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.clock import Clock
from domain.errors import InvalidInput
from domain.transfer import TransferRequest, TransferResult
from ledger.outside.port import MAX_LINES
from ledger.port import AccountBalance, Ledger, StatementLine, Transfer


@dataclass(frozen=True, slots=True)
class OwnLedger:
    """Pass each call to a ledger of ours. Implements ledger.outside.port.OutsideLedger; decisions stay behind it."""

    ledger: Ledger
    clock: Clock

    def open_account(
        self,
        code: str,
        currency: str,
        *,
        debits_must_not_exceed_credits: bool = False,
        credits_must_not_exceed_debits: bool = False,
    ) -> None:
        """Open an account, or see that it is open as asked."""
        self.ledger.open_account(
            code,
            currency,
            debits_must_not_exceed_credits=debits_must_not_exceed_credits,
            credits_must_not_exceed_debits=credits_must_not_exceed_debits,
        )

    def apply(self, requests: Sequence[TransferRequest]) -> list[TransferResult]:
        """Answer each request at the clock's time."""
        return self.ledger.apply(requests, now=self.clock.now())

    def find_balance(self, code: str, currency: str) -> AccountBalance | None:
        """Return the account's sums now."""
        return self.ledger.find_balance(code, currency)

    def find_transfer(self, transfer_id: UUID) -> Transfer | None:
        """Return an accepted transfer."""
        return self.ledger.find_transfer(transfer_id)

    def list_entries(self, code: str, currency: str, *, after: int | None, limit: int) -> list[StatementLine]:
        """Return a page of the statement. Raises: InvalidInput for a limit outside 1 to MAX_LINES."""
        if not 1 <= limit <= MAX_LINES:
            raise InvalidInput(f"limit: 1 to {MAX_LINES}", code="invalid_limit")
        return self.ledger.list_entries(code, currency, after=after, limit=limit)
