"""Callers: each wants something, asks until it knows, with the same id every time; and writes down every answer it ever got."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from uuid import UUID

from domain.transfer import Balancing, ResultCode, TransferCode, TransferKind, TransferRequest, TransferResult
from tests.simulation.ledger.weather import SECOND_US
from tests.simulation.ledger.world import Batcher, Store, World

BANK, FEES = "house:bank:main", "house:fees:card"
CUSTOMERS = tuple(f"customer:c{number}" for number in range(4))
PURSES = tuple(f"escrow:p{number}" for number in range(3))
"""Their debits must not exceed their credits."""
LOANS = ("customer:l0", "customer:l1")
"""Their credits must not exceed their debits."""
ACCOUNTS = (BANK, FEES, *CUSTOMERS, *PURSES, *LOANS)
_ASK_AGAIN = frozenset({ResultCode.NOT_AUTHORIZED, ResultCode.DECISION_NOT_YET_VALID, ResultCode.DECISION_EXPIRED})
_DONE = frozenset({ResultCode.ACCEPTED, ResultCode.ALREADY_ACCEPTED})
_ORDER = list(ResultCode)


@dataclass
class Book:
    """All that was ever asked and answered, over all callers."""

    asked: list[TransferRequest] = field(default_factory=list)
    answers: dict[UUID, list[TransferResult]] = field(default_factory=dict)
    acknowledged: dict[UUID, TransferResult] = field(default_factory=dict)
    """What a caller was told is done."""
    refused: dict[UUID, ResultCode] = field(default_factory=dict)
    """What a caller was told is refused for good."""
    open_units: int = 0


class Caller:
    """One who asks for one thing after the other."""

    def __init__(self, number: int, world: World, store: Store, batcher: Batcher, book: Book) -> None:
        self._number = number
        self._world = world
        self._store = store
        self._batcher = batcher
        self._book = book
        self._decision_id: str | None = None
        self._unit: tuple[TransferRequest, ...] = ()
        self._is_waiting = False
        self._attempt = 0
        self._settled_from: int | None = None
        """The first attempt after the decision was taken back: what it is refused stays refused."""
        self.is_stopping = False

    def start(self) -> None:
        self._world.after(self._world.source.randrange(SECOND_US), self._begin)

    def _begin(self) -> None:
        if self.is_stopping:
            return
        self._unit = make_unit(self._world.source, self._book, self._world)
        self._book.asked += self._unit
        self._book.open_units += 1
        self._is_waiting, self._attempt, self._settled_from = True, 0, None
        self._decision_id = self._store.authorize(self._unit)
        self._ask()

    def _ask(self) -> None:
        self._attempt += 1
        attempt, unit = self._attempt, self._unit

        def give_up() -> None:
            if self._is_waiting and self._unit is unit and self._attempt == attempt:
                self._world.history.add(f"{self._world.now_us} {self._number} asks again")
                self._ask()

        self._world.send("request", lambda: self._batcher.ask(unit, lambda results: self._hear(unit, attempt, results)))
        self._world.after(self._world.source.randrange(3, 10) * SECOND_US, give_up)

    def _hear(self, unit: tuple[TransferRequest, ...], attempt: int, results: list[TransferResult]) -> None:
        """An answer, perhaps to an attempt that was given up long ago."""
        for result in results:
            self._book.answers.setdefault(result.transfer_id, []).append(result)
        codes = {result.code for result in results}
        if codes <= _DONE:
            for result in results:
                self._book.acknowledged.setdefault(result.transfer_id, result)
        if unit is not self._unit or not self._is_waiting:
            return
        if codes & _ASK_AGAIN and self._settled_from is None:
            self._world.after(self._world.source.randrange(SECOND_US, 4 * SECOND_US), self._decide_again)
        elif codes <= _DONE or _is_for_good(codes):
            self._know(codes, results)
        elif self._settled_from is None:
            # Nothing was written, but an earlier attempt may still be on its way: it must find no decision.
            self._take_back()
            self._settled_from = self._attempt + 1
            self._ask()
        elif attempt >= self._settled_from:
            self._know(codes, results)

    def _know(self, codes: set[ResultCode], results: list[TransferResult]) -> None:
        if not codes <= _DONE:
            self._book.refused |= {result.transfer_id: result.refused_code or result.code for result in results}
        self._is_waiting = False
        self._book.open_units -= 1
        self._world.history.add(f"{self._world.now_us} {self._number} knows {sorted(codes)}")
        self._world.after(self._world.source.randrange(SECOND_US), self._begin)

    def _decide_again(self) -> None:
        if not self._is_waiting or self._settled_from is not None:
            return
        self._take_back()
        self._decision_id = self._store.authorize(self._unit) or self._decision_id
        self._ask()

    def _take_back(self) -> None:
        if self._decision_id is not None:
            self._store.supersede(self._decision_id)


def _is_for_good(codes: set[ResultCode]) -> bool:
    """Refused by the accounts, now or before: no later attempt can be accepted."""
    last_that_writes_nothing = _ORDER.index(ResultCode.DIGEST_MISMATCH)
    return any(code is ResultCode.REFUSED_BEFORE or _ORDER.index(code) > last_that_writes_nothing for code in codes)


def make_unit(source: Random, book: Book, world: World) -> tuple[TransferRequest, ...]:
    """Draw what to ask for: one request, or now and then a chain."""
    legs = 1 if source.randrange(6) else source.randrange(2, 4)
    unit: list[TransferRequest] = []
    for leg in range(legs):
        request = _make_request(source, [*book.asked, *unit], world, number=len(book.asked) + leg)
        unit.append(replace(request, linked=leg < legs - 1))
    return tuple(unit)


def _make_request(source: Random, earlier: list[TransferRequest], world: World, *, number: int) -> TransferRequest:
    debit, credit = source.sample(ACCOUNTS, 2)
    if source.randrange(3) == 0:
        debit = BANK if credit != BANK else FEES
    request = TransferRequest(
        transfer_id=UUID(int=(0x0195 << 112) | (7 << 76) | (2 << 62) | number),
        kind=TransferKind.POSTED,
        debit=debit,
        credit=credit,
        amount_minor=source.randint(1, 200),
        currency="EUR",
        code=TransferCode.PAYMENT,
        occurred_at=world.time(),
        balancing=source.choice([None, None, None, *Balancing]),
    )
    kind = source.choice(
        [
            TransferKind.POSTED,
            TransferKind.POSTED,
            TransferKind.PENDING,
            TransferKind.POST,
            TransferKind.VOID,
            TransferKind.REVERSE,
        ]
    )
    if kind is TransferKind.PENDING:
        lives_for_s = source.choice([None, 5, 60, 600, 4000])
        expires_at = None if lives_for_s is None else world.time() + timedelta(seconds=lives_for_s)
        return replace(request, kind=kind, hold_expires_at=expires_at)
    wanted = TransferKind.POSTED if kind is TransferKind.REVERSE else TransferKind.PENDING
    targets = [target for target in earlier[-60:] if target.kind is wanted]
    if kind is TransferKind.POSTED or not targets:
        return request
    target = source.choice(targets)
    sides = (target.credit, target.debit) if kind is TransferKind.REVERSE else (target.debit, target.credit)
    part = target.amount_minor if kind is TransferKind.VOID else source.randint(1, target.amount_minor)
    return replace(
        request, kind=kind, debit=sides[0], credit=sides[1], amount_minor=part, target_id=target.transfer_id, balancing=None
    )
