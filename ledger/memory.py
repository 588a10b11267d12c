"""The ledger without a database: the same answers from plain values, for tests, simulations and trying things out.

Deterministic and without I/O: time comes with each call, ids come with the requests. It does not survive the process.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.clock import require_utc
from domain.errors import InvalidInput, NotFound
from domain.transfer import MAX_BATCH, TransferCode, TransferKind, TransferRequest, TransferResult, digest_transfer
from domain.transfer_input import require_account, require_well_typed
from ledger.memory_accounts import write
from ledger.memory_reads import make_line, make_transfer, read_recorded_at
from ledger.memory_rules import apply_chain
from ledger.memory_state import Account, Authorization, Entry, Stage, State
from ledger.port import (
    AccountBalance,
    AccountExists,
    AccountInUse,
    AccountNotFound,
    AlreadyUsed,
    BatchTooLarge,
    Hold,
    HoldState,
    StatementLine,
    Transfer,
    TrialBalanceLine,
)


class MemoryLedger:
    """Keep one tenant's ledger in memory. Implements ledger.port.Ledger."""

    def __init__(self, tenant_id: str) -> None:
        self._state = State(tenant_id)

    def fork(self) -> MemoryLedger:
        """Return a copy to try things on."""
        other = MemoryLedger(self._state.tenant_id)
        other._state = self._state.fork()
        return other

    def open_account(
        self,
        code: str,
        currency: str,
        *,
        debits_must_not_exceed_credits: bool = False,
        credits_must_not_exceed_debits: bool = False,
        rolled_up: bool = False,
    ) -> None:
        """Open an account, or see that it is open as asked."""
        require_account(code, currency)
        if rolled_up and (debits_must_not_exceed_credits or credits_must_not_exceed_debits):
            raise InvalidInput(f"account {code} in {currency}: a rolled-up account has no limit")
        wanted = (debits_must_not_exceed_credits, credits_must_not_exceed_debits, rolled_up)
        account = self._state.accounts.get((code, currency))
        if account is None:
            self._state.accounts[code, currency] = Account(*wanted)
            self._state.places[code, currency] = []
        elif wanted != (account.debits_must_not_exceed_credits, account.credits_must_not_exceed_debits, account.rolled_up):
            raise AccountExists(f"account {code} in {currency} is open with other flags")

    def close_account(self, code: str, currency: str) -> None:
        """Let nothing more be posted to it."""
        account = self._require(code, currency)
        if any(
            hold.state is HoldState.PENDING and hold.currency == currency and code in (hold.debit, hold.credit)
            for hold in self._state.holds.values()
        ):
            raise AccountInUse(f"account {code} in {currency} has open holds")
        self._state.accounts[code, currency] = replace(account, closed=True)

    def stop_account(self, code: str, currency: str) -> None:
        """Stop posting on it."""
        self._state.accounts[code, currency] = replace(self._require(code, currency), stopped=True)

    def authorize(self, requests: Sequence[TransferRequest], *, valid_from: datetime, valid_until: datetime) -> str:
        """Write down what a decision allows."""
        state = self._state
        require_well_typed(requests)
        if not require_utc(valid_from) < require_utc(valid_until):
            raise InvalidInput("a decision must end after it begins")
        ids = tuple(request.transfer_id for request in requests)
        if not ids or len(set(ids)) < len(ids):
            raise InvalidInput("a decision names at least one transfer, and each once")
        for transfer_id in ids:
            if transfer_id in state.entries or transfer_id in state.refusals or transfer_id in state.authorizations:
                raise AlreadyUsed(f"transfer {transfer_id} was answered before, or another decision names it")
        decision_id = f"dec_{len(state.decisions) + 1:032x}"
        state.decisions[decision_id] = ids
        for request in requests:
            digest = digest_transfer(request, tenant_id=state.tenant_id)
            state.authorizations[request.transfer_id] = Authorization(decision_id, digest, valid_from, valid_until)
        return decision_id

    def supersede(self, decision_id: str) -> None:
        """Take back what was not used."""
        ids = self._state.decisions.get(decision_id)
        if ids is None:
            raise NotFound("there is no such decision")
        for transfer_id in ids:
            authorization = self._state.authorizations.get(transfer_id)
            if authorization is not None and authorization.decision_id == decision_id:
                del self._state.authorizations[transfer_id]

    def apply(self, requests: Sequence[TransferRequest], *, now: datetime) -> list[TransferResult]:
        """Answer each request in turn, chain by chain."""
        if len(requests) > MAX_BATCH:
            raise BatchTooLarge(f"{len(requests)} requests in one call; at most {MAX_BATCH}")
        require_well_typed(requests)
        require_utc(now)
        results: list[TransferResult] = []
        first = 0
        for place, request in enumerate(requests):
            if request.linked and place < len(requests) - 1:
                continue
            results += apply_chain(self._state, requests[first : place + 1], is_open=request.linked, now=now)
            first = place + 1
        return results

    def expire_holds(self, *, now: datetime, limit: int = 1000) -> int:
        """Release what is due. Looks at every hold."""
        require_utc(now)
        if limit < 1:
            raise InvalidInput("limit: at least 1")
        due = heapq.nsmallest(
            limit,
            (
                (hold.expires_at, hold.transfer_id)
                for hold in self._state.holds.values()
                if hold.state is HoldState.PENDING and hold.expires_at is not None and hold.expires_at <= now
            ),
        )
        for expired_at, transfer_id in due:
            self._expire(self._state.holds[transfer_id], expired_at, now)
        return len(due)

    def _expire(self, hold: Hold, expired_at: datetime, now: datetime) -> None:
        request = TransferRequest(
            transfer_id=self._name_expiry(hold.transfer_id),
            kind=TransferKind.EXPIRE,
            debit=hold.debit,
            credit=hold.credit,
            amount_minor=hold.held_minor,
            currency=hold.currency,
            code=TransferCode.EXPIRY,
            occurred_at=expired_at,
            target_id=hold.transfer_id,
        )
        stage = Stage(self._state)
        write(stage, request, None, amount_minor=hold.held_minor, released_minor=hold.held_minor, now=now)
        stage.merge()

    def _name_expiry(self, hold_id: UUID) -> UUID:
        """Return an id that follows from the hold's, so that a replay gives the same; another one if somebody took it."""
        number = 0
        while True:
            expiry_id = uuid5(NAMESPACE_URL, f"expire|{self._state.tenant_id}|{hold_id}|{number}")
            taken = (self._state.entries, self._state.refusals, self._state.authorizations)
            if not any(expiry_id in ids for ids in taken):
                return expiry_id
            number += 1

    def roll_up(self) -> int:
        """Say how many sides of entries were waiting; here they are in the sums already."""
        state = self._state
        waiting = (entry.request for entry in state.log[state.rolled_up_to :])
        state.rolled_up_to = len(state.log)
        return sum(
            state.accounts[code, request.currency].rolled_up for request in waiting for code in (request.debit, request.credit)
        )

    def find_balance(self, code: str, currency: str) -> AccountBalance | None:
        """Return the account's sums."""
        account = self._state.accounts.get((code, currency))
        if account is None:
            return None
        return AccountBalance(
            code=code,
            currency=currency,
            balance_minor=account.credits_posted_minor - account.debits_posted_minor,
            debits_posted_minor=account.debits_posted_minor,
            credits_posted_minor=account.credits_posted_minor,
            debits_pending_minor=account.debits_pending_minor,
            credits_pending_minor=account.credits_pending_minor,
            version=account.version,
        )

    def find_balance_at(self, code: str, currency: str, at: datetime) -> AccountBalance | None:
        """Add up the entries recorded until then. Looks at every entry of the account."""
        require_utc(at)
        if (code, currency) not in self._state.accounts:
            return None
        entries = [entry for entry in self._list_of(code, currency) if read_recorded_at(entry) <= at]
        debits = [entry for entry in entries if entry.request.debit == code]
        credits_ = [entry for entry in entries if entry.request.credit == code]
        debits_posted_minor = sum(entry.moved_minor for entry in debits)
        credits_posted_minor = sum(entry.moved_minor for entry in credits_)
        return AccountBalance(
            code=code,
            currency=currency,
            balance_minor=credits_posted_minor - debits_posted_minor,
            debits_posted_minor=debits_posted_minor,
            credits_posted_minor=credits_posted_minor,
            debits_pending_minor=sum(entry.held_minor for entry in debits),
            credits_pending_minor=sum(entry.held_minor for entry in credits_),
            version=len(entries),
        )

    def list_entries(self, code: str, currency: str, *, after: int | None, limit: int) -> list[StatementLine]:
        """List the entries after a version. Looks at every entry before it."""
        if limit < 1:
            raise InvalidInput("limit: at least 1")
        lines = []
        for entry in self._list_of(code, currency):
            line = make_line(entry, code)
            if after is None or line.version > after:
                lines.append(line)
                if len(lines) == limit:
                    break
        return lines

    def find_transfer(self, transfer_id: UUID) -> Transfer | None:
        """Return an accepted transfer."""
        entry = self._state.entries.get(transfer_id)
        return None if entry is None else make_transfer(entry)

    def find_hold(self, transfer_id: UUID) -> Hold | None:
        """Return a hold as it stands."""
        return self._state.holds.get(transfer_id)

    def list_trial_balance(self) -> list[TrialBalanceLine]:
        """Add up the accounts of each currency."""
        sums: dict[str, list[int]] = {}
        for (_, currency), account in self._state.accounts.items():
            line = sums.setdefault(currency, [0, 0])
            line[0] += account.debits_posted_minor
            line[1] += account.credits_posted_minor
        return [TrialBalanceLine(currency, *sums[currency]) for currency in sorted(sums)]

    def _require(self, code: str, currency: str) -> Account:
        account = self._state.accounts.get((code, currency))
        if account is None:
            raise AccountNotFound(f"there is no account {code} in {currency}")
        return account

    def _list_of(self, code: str, currency: str) -> Iterable[Entry]:
        return (self._state.log[place] for place in self._state.places.get((code, currency), ()))
