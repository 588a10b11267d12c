"""The books as one list of what was accepted: every sum, state and statement is computed from it, each time anew."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from domain.transfer import Balancing, TransferCode, TransferKind, TransferRequest
from ledger.port import AccountBalance, TrialBalanceLine

_MOVING = (TransferKind.POSTED, TransferKind.POST, TransferKind.REVERSE)
_ENDING = (TransferKind.POST, TransferKind.VOID, TransferKind.EXPIRE)
Key = tuple[str, str]


@dataclass(frozen=True)
class Flags:
    debits_within_credits: bool = False
    credits_within_debits: bool = False
    rolled_up: bool = False


@dataclass(frozen=True)
class Accepted:
    request: TransferRequest
    amount_minor: int
    recorded_at: datetime


@dataclass
class SlowBooks:
    accounts: dict[Key, Flags] = field(default_factory=dict)
    closed: set[Key] = field(default_factory=set)
    stopped: set[Key] = field(default_factory=set)
    accepted: list[Accepted] = field(default_factory=list)

    # From the list -------------------------------------------------------------------------------------------------------------

    def amount_of(self, request: TransferRequest) -> int:
        debit, credit = keys_of(request)
        if request.balancing is Balancing.DEBIT and self.accounts[debit].debits_within_credits:
            debits, credits_, held, _ = self.sums(debit)
            return min(request.amount_minor, credits_ - debits - held)
        if request.balancing is Balancing.CREDIT and self.accounts[credit].credits_within_debits:
            debits, credits_, _, held = self.sums(credit)
            return min(request.amount_minor, debits - credits_ - held)
        return request.amount_minor

    def sums(self, key: Key) -> tuple[int, int, int, int]:
        """Return debits and credits posted, debits and credits held."""
        sums = [0, 0, 0, 0]
        for row in self.accepted:
            side = side_of(row, key)
            if side is None:
                continue
            if row.request.kind in _MOVING:
                sums[side] += row.amount_minor
            if row.request.kind is TransferKind.PENDING and not self.is_ended(row):
                sums[side + 2] += row.amount_minor
        return sums[0], sums[1], sums[2], sums[3]

    def is_ended(self, hold: Accepted) -> bool:
        return any(row.request.kind in _ENDING and row.request.target_id == hold.request.transfer_id for row in self.accepted)

    def find_target(self, request: TransferRequest) -> Accepted | None:
        return next((row for row in self.accepted if row.request.transfer_id == request.target_id), None)

    def answers_to(self, request: TransferRequest, kind: TransferKind) -> list[Accepted]:
        return [row for row in self.accepted if row.request.kind is kind and row.request.target_id == request.target_id]

    # Looking -------------------------------------------------------------------------------------------------------------------

    def balance(self, key: Key) -> AccountBalance:
        debits, credits_, held_debits, held_credits = self.sums(key)
        entries = sum(side_of(row, key) is not None for row in self.accepted)
        return AccountBalance(*key, credits_ - debits, debits, credits_, held_debits, held_credits, entries)

    def statement(self, key: Key) -> list[tuple[object, ...]]:
        return [
            (row.request.transfer_id, row.request.kind, side_of(row, key), row.amount_minor, row.recorded_at)
            for row in self.accepted
            if side_of(row, key) is not None and row.request.kind is not TransferKind.EXPIRE
        ]

    def trial_balance(self) -> list[TrialBalanceLine]:
        return [
            TrialBalanceLine(
                currency,
                sum(self.sums(key)[0] for key in self.accounts if key[1] == currency),
                sum(self.sums(key)[1] for key in self.accounts if key[1] == currency),
            )
            for currency in sorted({key[1] for key in self.accounts})
        ]

    def hold_states(self) -> dict[object, str]:
        names = {TransferKind.POST: "posted", TransferKind.VOID: "voided", TransferKind.EXPIRE: "expired"}
        ends = {row.request.target_id: names[row.request.kind] for row in self.accepted if row.request.kind in names}
        return {
            row.request.transfer_id: ends.get(row.request.transfer_id, "pending")
            for row in self.accepted
            if row.request.kind is TransferKind.PENDING
        }

    # Other acts ----------------------------------------------------------------------------------------------------------------

    def expire(self, now: datetime, limit: int) -> int:
        due = sorted(
            (row.request.hold_expires_at, row.request.transfer_id, row)
            for row in self.accepted
            if row.request.kind is TransferKind.PENDING and not self.is_ended(row)
            and row.request.hold_expires_at is not None and row.request.hold_expires_at <= now
        )[:limit]  # fmt: skip
        for _, hold_id, row in due:
            expiry = replace(
                row.request, kind=TransferKind.EXPIRE, target_id=hold_id, hold_expires_at=None, code=TransferCode.EXPIRY,
            )  # fmt: skip
            self.accepted.append(Accepted(expiry, row.amount_minor, now))
        return len(due)

    def close(self, key: Key) -> bool:
        """Say whether it may be closed, and close it."""
        if any(
            row.request.kind is TransferKind.PENDING and not self.is_ended(row) and side_of(row, key) is not None
            for row in self.accepted
        ):
            return False
        self.closed.add(key)
        return True


def keys_of(request: TransferRequest) -> tuple[Key, Key]:
    return (request.debit, request.currency), (request.credit, request.currency)


def side_of(row: Accepted, key: Key) -> int | None:
    keys = keys_of(row.request)
    return keys.index(key) if key in keys else None
