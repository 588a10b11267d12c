"""One thread plays them all: what happens next is the earliest of what waits, and chance comes from one seed.

The store is a real ledger behind a network that loses, doubles and delays; nothing here knows whether a lost answer was for
something that happened.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from domain.errors import InvalidInput
from domain.transfer import ResultCode, TransferRequest, TransferResult
from ledger.port import AlreadyUsed, Ledger
from tests.simulation.ledger.weather import SECOND_US, STORM, Weather, draw_delay_us, draw_jump_us, strikes

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIFETIME = timedelta(seconds=60)
_ORDER = list(ResultCode)
Answer = Callable[[list[TransferResult]], None]


class History:
    """What happened, in its order, as one hash; with the lines themselves if somebody listens."""

    def __init__(self, listen: Callable[[str], None] | None = None) -> None:
        self._hash = hashlib.sha256()
        self._listen = listen

    def add(self, line: str) -> None:
        self._hash.update(line.encode() + b"\n")
        if self._listen is not None:
            self._listen(line)

    def digest(self) -> str:
        return self._hash.hexdigest()


@dataclass
class World:
    """The scheduler and the time."""

    source: Random
    history: History
    weather: Weather = STORM
    now_us: int = 0
    steps: int = 0
    _waiting: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _scheduled: int = 0

    def after(self, delay_us: int, act: Callable[[], None]) -> None:
        """Let it happen later. What is due at the same time happens in the order of scheduling."""
        self._scheduled += 1
        heapq.heappush(self._waiting, (self.now_us + delay_us, self._scheduled, act))

    def send(self, what: str, deliver: Callable[[], None]) -> None:
        """Let it arrive: some time, twice, or never."""
        if strikes(self.source, self.weather.lost):
            self.history.add(f"{self.now_us} lost {what}")
            return
        copies = 2 if strikes(self.source, self.weather.doubled) else 1
        for _ in range(copies):
            self.after(draw_delay_us(self.source, self.weather), deliver)

    def step(self) -> bool:
        """Do the next thing. False when nothing waits."""
        if not self._waiting:
            return False
        self.now_us, _, act = heapq.heappop(self._waiting)
        self.steps += 1
        act()
        return True

    def time(self) -> datetime:
        """What a right clock says."""
        return START + timedelta(microseconds=self.now_us)


@dataclass
class Store:
    """The ledger with its own clock, which is not always right."""

    world: World
    ledger: Ledger
    offset_us: int = 0
    allowed: dict[str, tuple[datetime, datetime, tuple[TransferRequest, ...]]] = field(default_factory=dict)
    """What each decision allowed and when: to check in the end that nothing else moved."""
    final: dict[UUID, ResultCode] = field(default_factory=dict)
    """Of each id, what it was answered for good: accepted, or refused by the accounts."""
    breaches: list[str] = field(default_factory=list)
    applied: int = 0

    def now(self) -> datetime:
        return self.world.time() + timedelta(microseconds=self.offset_us)

    def apply(self, batch: list[TransferRequest]) -> list[TransferResult]:
        if strikes(self.world.source, self.world.weather.jumps):
            self.offset_us += draw_jump_us(self.world.source)
            self.world.history.add(f"{self.world.now_us} clock {self.offset_us}")
        elif strikes(self.world.source, self.world.weather.mends):
            self.offset_us = 0
        results = self.ledger.apply(batch, now=self.now())
        for result in results:
            self._check_answer(result)
        self.applied += len(batch)
        for result in results:
            self.world.history.add(f"{self.world.now_us} applied {result}")
        return results

    def _check_answer(self, result: TransferResult) -> None:
        """Compare with what this id was answered before: an answer for good is for good."""
        before = self.final.get(result.transfer_id)
        if before is ResultCode.ACCEPTED and result.code is not ResultCode.ALREADY_ACCEPTED:
            self.breaches.append(f"{result.transfer_id} was accepted, and then answered {result.code}")
        if before is ResultCode.REFUSED_BEFORE and result.code not in (ResultCode.REFUSED_BEFORE, ResultCode.LINKED_FAILED):
            self.breaches.append(f"{result.transfer_id} was refused, and then answered {result.code}")
        if result.code in (ResultCode.ACCEPTED, ResultCode.REFUSED_BEFORE):
            self.final[result.transfer_id] = result.code
        elif _ORDER.index(result.code) > _ORDER.index(ResultCode.DIGEST_MISMATCH):
            self.final[result.transfer_id] = ResultCode.REFUSED_BEFORE

    # The gate: it decides by a clock of its own, the right one.

    def authorize(self, unit: tuple[TransferRequest, ...]) -> str | None:
        """None when the ids were answered already, or another decision stands."""
        valid_from = self.world.time()
        try:
            decision_id = self.ledger.authorize(unit, valid_from=valid_from, valid_until=valid_from + LIFETIME)
        except AlreadyUsed:
            return None
        self.allowed[decision_id] = (valid_from, valid_from + LIFETIME, unit)
        return decision_id

    def supersede(self, decision_id: str) -> None:
        self.ledger.supersede(decision_id)
        self.world.history.add(f"{self.world.now_us} superseded {decision_id}")


class Batcher:
    """Take whatever waits, send it in one call, give each his answer; start over with nothing after a crash."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store
        self._queue: list[tuple[tuple[TransferRequest, ...], Answer]] = []
        self._is_busy = False
        self._life = 0
        self.crashes = 0

    def ask(self, unit: tuple[TransferRequest, ...], answer: Answer) -> None:
        """Put a unit, which is a request or a chain, among those that wait."""
        self._queue.append((unit, answer))
        self._go_on()

    def _go_on(self) -> None:
        if self._is_busy or not self._queue:
            return
        batch, self._queue = self._queue, []
        if self._crashes():
            return
        self._is_busy = True
        self._send(batch, self._life, attempt=1)

    def _send(self, batch: list[tuple[tuple[TransferRequest, ...], Answer]], life: int, *, attempt: int) -> None:
        """Send it until an answer comes: each attempt carries the same ids."""
        requests = [request for unit, _ in batch for request in unit]
        answered: list[bool] = []

        def arrive() -> None:
            results = self._store.apply(requests)
            self._world.send("answer of the store", lambda: come_back(results))

        def come_back(results: list[TransferResult]) -> None:
            if answered or life != self._life:
                return
            answered.append(True)
            if self._crashes():
                return
            self._hand_out(batch, results)
            self._is_busy = False
            self._go_on()

        def give_up() -> None:
            if not answered and life == self._life:
                self._send(batch, life, attempt=attempt + 1)
                answered.append(True)

        self._world.send("batch", arrive)
        self._world.after(2 * SECOND_US, give_up)

    def _hand_out(self, batch: list[tuple[tuple[TransferRequest, ...], Answer]], results: list[TransferResult]) -> None:
        first = 0
        for unit, answer in batch:
            own = results[first : first + len(unit)]
            first += len(unit)
            self._world.send("answer", lambda answer=answer, own=own: answer(own))  # type: ignore[misc]
        if first != len(results):
            raise InvalidInput(f"{len(results)} answers to {first} requests")

    def _crashes(self) -> bool:
        """All that it knew is gone; whoever waits for it asks again."""
        if not strikes(self._world.source, self._world.weather.crashes):
            return False
        self.crashes += 1
        self._life += 1
        self._queue, self._is_busy = [], False
        self._world.history.add(f"{self._world.now_us} batcher crashed")
        return True
