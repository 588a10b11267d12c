"""What the twin remembers. Values never change; a chain writes into a `Stage`, which is merged whole or dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.transfer import ResultCode, TransferRequest, TransferResult
from ledger.port import Hold

AccountKey = tuple[str, str]
"""Code and currency."""


@dataclass(slots=True)
class Account:
    """Hold an account's flags and sums. Treated as a value: a change makes another one."""

    debits_must_not_exceed_credits: bool
    credits_must_not_exceed_debits: bool
    rolled_up: bool
    closed: bool = False
    stopped: bool = False
    debits_posted_minor: int = 0
    credits_posted_minor: int = 0
    debits_pending_minor: int = 0
    credits_pending_minor: int = 0
    version: int = 0


@dataclass(slots=True)
class Entry:
    """Hold one accepted transfer: what was asked, what was answered, and what it took off the pending sums."""

    request: TransferRequest
    result: TransferResult
    moved_minor: int
    held_minor: int
    """Added to the pending sums; negative for what releases a hold."""
    decision_id: str | None


@dataclass(slots=True)
class Authorization:
    """Hold what a decision allows for one id."""

    decision_id: str
    digest: bytes
    valid_from: datetime
    valid_until: datetime


@dataclass(slots=True)
class Refusal:
    """Hold why an id stays refused, and for which body."""

    digest: bytes
    code: ResultCode


@dataclass(slots=True)
class State:
    """Hold everything of one tenant. `log` is the order of things; all else could be computed from it and the refusals."""

    tenant_id: str
    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)
    places: dict[AccountKey, list[int]] = field(default_factory=dict)
    """Where in the log the entries of each account are, in their order."""
    entries: dict[UUID, Entry] = field(default_factory=dict)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    reversed_minor: dict[UUID, int] = field(default_factory=dict)
    refusals: dict[UUID, Refusal] = field(default_factory=dict)
    authorizations: dict[UUID, Authorization] = field(default_factory=dict)
    decisions: dict[str, tuple[UUID, ...]] = field(default_factory=dict)
    rolled_up_to: int = 0
    """How much of the log was rolled up."""

    def fork(self) -> State:
        """Return a copy on which anything can be tried without this one noticing."""
        return State(
            tenant_id=self.tenant_id,
            accounts=dict(self.accounts),
            log=list(self.log),
            places={key: list(places) for key, places in self.places.items()},
            entries=dict(self.entries),
            holds=dict(self.holds),
            reversed_minor=dict(self.reversed_minor),
            refusals=dict(self.refusals),
            authorizations=dict(self.authorizations),
            decisions=dict(self.decisions),
            rolled_up_to=self.rolled_up_to,
        )


class Stage:
    """Hold what one chain would change, readable as if it had happened already."""

    __slots__ = ("accounts", "entries", "holds", "reversed_minor", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.accounts: dict[AccountKey, Account] = {}
        self.entries: dict[UUID, Entry] = {}
        self.holds: dict[UUID, Hold] = {}
        self.reversed_minor: dict[UUID, int] = {}

    def find_account(self, key: AccountKey) -> Account | None:
        """Return the account as it would be."""
        return self.accounts.get(key) or self.state.accounts.get(key)

    def find_entry(self, transfer_id: UUID) -> Entry | None:
        """Return the accepted transfer."""
        return self.entries.get(transfer_id) or self.state.entries.get(transfer_id)

    def find_hold(self, transfer_id: UUID) -> Hold | None:
        """Return the hold as it would be."""
        return self.holds.get(transfer_id) or self.state.holds.get(transfer_id)

    def sum_reversed(self, transfer_id: UUID) -> int:
        """Return how much of a transfer would have been reversed."""
        staged = self.reversed_minor.get(transfer_id)
        return self.state.reversed_minor.get(transfer_id, 0) if staged is None else staged

    def next_order(self) -> int:
        """Return the order number of the next entry on a rolled-up account."""
        return len(self.state.log) + len(self.entries) + 1

    def merge(self) -> None:
        """Make it so."""
        state = self.state
        state.accounts.update(self.accounts)
        for transfer_id, entry in self.entries.items():
            place = len(state.log)
            state.log.append(entry)
            state.entries[transfer_id] = entry
            request = entry.request
            state.places[request.debit, request.currency].append(place)
            state.places[request.credit, request.currency].append(place)
        if self.holds:
            state.holds.update(self.holds)
        if self.reversed_minor:
            state.reversed_minor.update(self.reversed_minor)
