"""What is asked of the ledger: every kind of transfer, chains, repeats, impostors, and requests that nobody allowed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Literal

from domain.ids import make_uuid7
from domain.transfer import Balancing, TransferCode, TransferKind, TransferRequest

CURRENCIES = ("EUR", "USD")
HOLD_LIFETIME = timedelta(hours=1)
_ORDINARY = 48
_PURSES = 46
_LOANS = 4
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_REMEMBERED = 400
# Some accounts are everyone's: that is where locks meet.
_POPULAR = 4

Flag = Literal["none", "debits_within_credits", "credits_within_debits", "rolled_up"]
Sort = Literal["fresh", "repeat", "impostor"]


def list_accounts(currency: str) -> list[tuple[str, Flag]]:
    """Return the codes and flags of a currency's 100 accounts."""
    return [
        ("house:bank:main", "rolled_up"),
        ("house:fees:card", "rolled_up"),
        *((f"customer:{currency.lower()}{number:03d}", "none") for number in range(_ORDINARY)),
        *((f"escrow:{currency.lower()}{number:03d}", "debits_within_credits") for number in range(_PURSES)),
        *((f"customer:loan{currency.lower()}{number:03d}", "credits_within_debits") for number in range(_LOANS)),
    ]


_CODES = {currency: [code for code, _ in list_accounts(currency)] for currency in CURRENCIES}


@dataclass(frozen=True, slots=True)
class Unit:
    """Hold requests that stand or fall together, and are answered together. `allowed`: a decision authorizes them."""

    requests: tuple[TransferRequest, ...]
    sort: Sort = "fresh"
    allowed: bool = True
    alone: bool = False
    """By the call for one transfer, past the batching writer."""


@dataclass(slots=True)
class Known:
    """Share between the callers what was answered: holds to resolve, postings to reverse, units to repeat."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    holds: deque[TransferRequest] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    moved: deque[TransferRequest] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    units: deque[Unit] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def pick(self, rng: Random, kept: deque[TransferRequest]) -> TransferRequest | None:
        """Return one of them, mostly a young one: several callers then want the same."""
        with self.lock:
            return kept[-1 - min(int(rng.expovariate(0.1)), len(kept) - 1)] if kept else None

    def pick_unit(self, rng: Random) -> Unit | None:
        """Return a unit that was answered."""
        with self.lock:
            return rng.choice(self.units) if self.units else None

    def learn(self, unit: Unit, accepted: Sequence[bool]) -> None:
        """Remember a fresh unit that was answered for good."""
        with self.lock:
            self.units.append(unit)
            for request, was_accepted in zip(unit.requests, accepted, strict=True):
                if was_accepted and request.kind is TransferKind.PENDING:
                    self.holds.append(request)
                elif was_accepted and request.kind in (TransferKind.POSTED, TransferKind.POST) and request.balancing is None:
                    self.moved.append(request)


@dataclass(slots=True)
class Workload:
    """Draw units for one caller. Each request has an event time of its own, so that two transfers for one wish are seen."""

    caller: int
    rng: Random
    known: Known
    wishes: int = 0

    def draw(self, now: datetime) -> Unit:
        """Draw the next unit."""
        roll = self.rng.random()
        unit = self._draw_about_earlier(roll, now) if roll < 0.33 else None
        return unit or self._draw_fresh(self.rng.random(), now)

    def _draw_fresh(self, roll: float, now: datetime) -> Unit:
        alone = self.rng.random() < 0.12
        if roll < 0.55:
            return Unit((self._plain(now),), alone=alone)
        if roll < 0.73:
            expiry = now + HOLD_LIFETIME if self.rng.random() < 0.4 else None
            return Unit((replace(self._plain(now), kind=TransferKind.PENDING, hold_expires_at=expiry),), alone=alone)
        if roll < 0.80:
            return Unit((replace(self._plain(now), balancing=self.rng.choice(list(Balancing))),), alone=alone)
        if roll < 0.84:
            return Unit((self._plain(now),), allowed=False, alone=alone)
        legs = [self._plain(now) for _ in range(self.rng.randint(2, 4))]
        if self.rng.random() < 0.3:
            legs[-1] = replace(legs[-1], debit=f"escrow:{legs[-1].currency.lower()}000", amount_minor=10**12)
        if legs[-1].debit == legs[-1].credit:
            legs[-1] = replace(legs[-1], credit="house:fees:card")
        return Unit((*(replace(leg, linked=True) for leg in legs[:-1]), legs[-1]))

    def _draw_about_earlier(self, roll: float, now: datetime) -> Unit | None:
        alone = self.rng.random() < 0.12
        if roll < 0.12:
            hold = self.known.pick(self.rng, self.known.holds)
            return Unit((self._resolve(hold, now),), alone=alone) if hold else None
        if roll < 0.18:
            moved = self.known.pick(self.rng, self.known.moved)
            return Unit((self._reverse(moved, now),), alone=alone) if moved else None
        unit = self.known.pick_unit(self.rng)
        if unit is None or roll < 0.29:
            return unit and replace(unit, sort="repeat")
        request = unit.requests[0]
        if len(unit.requests) > 1 or not unit.allowed or request.balancing is not None:
            return None
        return Unit((replace(request, amount_minor=request.amount_minor + 1),), sort="impostor", allowed=False, alone=alone)

    def _resolve(self, hold: TransferRequest, now: datetime) -> TransferRequest:
        void = self.rng.random() < 0.4
        amount = hold.amount_minor if void else max(1, self.rng.randint(hold.amount_minor // 2, hold.amount_minor + 1))
        return replace(
            self._plain(now), kind=TransferKind.VOID if void else TransferKind.POST, debit=hold.debit, credit=hold.credit,
            currency=hold.currency, amount_minor=amount, target_id=hold.transfer_id,
        )  # fmt: skip

    def _reverse(self, moved: TransferRequest, now: datetime) -> TransferRequest:
        return replace(
            self._plain(now), kind=TransferKind.REVERSE, debit=moved.credit, credit=moved.debit, currency=moved.currency,
            amount_minor=self.rng.randint(1, moved.amount_minor), target_id=moved.transfer_id,
        )  # fmt: skip

    def _plain(self, now: datetime) -> TransferRequest:
        self.wishes += 1
        currency = self.rng.choice(CURRENCIES)
        codes = _CODES[currency]
        popular = codes[:2] + codes[40 : 40 + _POPULAR] + codes[50 : 50 + _POPULAR]
        debit, credit = self.rng.choice(popular if self.rng.random() < 0.3 else codes), self.rng.choice(codes)
        while debit == credit:
            credit = self.rng.choice(codes)
        return TransferRequest(
            transfer_id=make_uuid7(now, random_bits=self.rng.getrandbits(74)),
            kind=TransferKind.POSTED,
            debit=debit,
            credit=credit,
            amount_minor=self.rng.randint(1, 500),
            currency=currency,
            code=TransferCode.PAYMENT,
            occurred_at=_EPOCH + timedelta(seconds=self.caller * 10_000, microseconds=self.wishes),
        )
