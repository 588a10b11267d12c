"""One caller: has its requests allowed, asks the worker, and asks again with the same ids till it knows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Client, Connection
from typing import Any
from uuid import UUID

import psycopg

from bench.crash.diary import Diary
from bench.crash.place import QUERIES, Place
from bench.crash.worker import AUTHKEY, Answer
from bench.crash.workload import Unit, Workload
from domain.ids import make_id, uuid_of
from domain.transfer import ResultCode, TransferResult, digest_transfer

_HAND = 40
_ANSWER_TIMEOUT_S = 30.0
_GIVE_UP_S = 90.0
_RETRY_PAUSE_S = 0.05
# They say that nothing moved: whoever hears one of them for a unit that was never in doubt may rely on it.
_NOTHING_MOVED = frozenset({"writer_fenced", "writer_stopped", "writer_overloaded", "database_unavailable"})
_PASSING = _NOTHING_MOVED | {"commit_unknown"}


@dataclass(slots=True)
class Switchboard:
    """Say which worker callers turn to. `stop` ends the round for them."""

    socket_path: str = ""
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Caller:
    """Ask in hands of some units. `loyal`: waits for the worker it asked, even when there is another one."""

    name: str
    place: Place
    switchboard: Switchboard
    workload: Workload
    diary: Diary
    loyal: bool
    next_number: int = 0
    failure: Exception | None = None
    gate: ExitStack = field(default_factory=ExitStack)
    _gate: psycopg.Connection[Any] | None = None

    def run(self) -> None:
        """Ask till the round stops and everything asked is known."""
        try:
            with self.gate:
                while not self.switchboard.stop.is_set():
                    self._ask_hand()
        except Exception as error:  # noqa: BLE001 - the round's thread raises it
            self.failure = error

    def _reach_gate(self) -> psycopg.Connection[Any]:
        """Return a connection of role gate with a context, kept for the round as long as it lives."""
        if self._gate is None or self._gate.closed:
            self.gate.close()
            self._gate = self.gate.enter_context(self.place.connect_patiently("gate"))
        return self._gate

    def _ask_hand(self) -> None:
        now = datetime.now(UTC)
        drawn = [self.workload.draw(now) for _ in range(self.workload.rng.randint(1, _HAND))]
        units = {self.next_number + place: unit for place, unit in enumerate(drawn)}
        self.next_number += len(units)
        decision_id = self._authorize([unit for unit in drawn if unit.sort == "fresh" and unit.allowed], now)
        for number, unit in units.items():
            self.diary.note_asked(number, unit, decision_id if unit.sort == "fresh" and unit.allowed else None)
        doubted: set[int] = set()
        deadline = time.monotonic() + _GIVE_UP_S
        while units:
            failed = self._exchange(units)
            denied = [number for number, reason in failed.items() if reason in _NOTHING_MOVED and number not in doubted]
            self._check_denials([(number, units[number]) for number in denied])
            doubted.update(failed.keys() - set(denied))
            for number, reason in failed.items():
                if reason not in _PASSING and not reason.startswith("lost"):
                    self.diary.note_lie(number, f"an error that no caller should see: {reason}")
                self.diary.note_in_doubt(number, reason)
            if units and time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}: {len(units)} units without an answer after {_GIVE_UP_S} s: {failed}")
            if units:
                time.sleep(_RETRY_PAUSE_S)

    def _authorize(self, units: Sequence[Unit], now: datetime) -> UUID:
        """Write a decision and what it allows; again after a lost answer, till it stands."""
        decision_id, tenant_id = make_id("dec", now), self.place.tenant_id
        requests = [request for unit in units for request in unit.requests]
        decision = {"tenant_id": tenant_id, "decision_id": decision_id, "now": now}
        decision |= {"proposal_id": make_id("prp", now), "event_id": make_id("evt", now)}
        allowed = {"tenant_id": tenant_id, "decision_uuid": uuid_of(decision_id), "now": now}
        allowed |= {"ids": [request.transfer_id for request in requests]}
        allowed |= {"digests": [digest_transfer(request, tenant_id=tenant_id) for request in requests]}
        while True:
            try:
                gate = self._reach_gate()
                gate.execute(QUERIES["insert_decision"], decision)
                gate.execute(QUERIES["insert_authorizations"], allowed)
                return uuid_of(decision_id)
            except psycopg.OperationalError:
                time.sleep(_RETRY_PAUSE_S)

    def _exchange(self, units: dict[int, Unit]) -> dict[int, str]:
        """Send units and take their answers out of `units`; return why others that were sent have none."""
        asked_at = self.switchboard.socket_path
        failed: dict[int, str] = {}
        try:
            worker = Client(asked_at, family="AF_UNIX", authkey=AUTHKEY)
        except (OSError, EOFError):
            return failed
        try:
            with worker:
                worker.send(list(units.items()))
                deadline = time.monotonic() + _ANSWER_TIMEOUT_S
                while units.keys() - failed.keys():
                    if not self._hears(worker, asked_at, deadline):
                        break
                    self._take(worker.recv(), units, failed)
        except (OSError, EOFError):
            pass
        return failed | {number: "lost: the worker went away" for number in units if number not in failed}

    def _hears(self, worker: Connection, asked_at: str, deadline: float) -> bool:
        while not worker.poll(_RETRY_PAUSE_S):
            left = not self.loyal and self.switchboard.socket_path != asked_at
            if left or time.monotonic() > deadline:
                return False
        return True

    def _take(self, answer: Answer, units: dict[int, Unit], failed: dict[int, str]) -> None:
        number, said = answer
        if isinstance(said, str):
            failed[number] = said
            return
        self.diary.note_answered(number, said)
        unit = units.pop(number)
        if unit.sort == "fresh":
            self.workload.known.learn(unit, _accepted(said))

    def _check_denials(self, denied: Iterable[tuple[int, Unit]]) -> None:
        """Look whether what was said not to have moved really has not, before it is sent again."""
        fresh: Mapping[UUID, int] = {
            request.transfer_id: number for number, unit in denied if unit.sort == "fresh" for request in unit.requests
        }
        while fresh:
            try:
                row = self._reach_gate().execute(QUERIES["count_written"], {"ids": list(fresh)}).fetchone()
            except psycopg.OperationalError:
                continue
            if row is None or row[0] != 0:
                self.diary.note_lie(next(iter(fresh.values())), f"nothing moved, it said; {row and row[0]} of {len(fresh)} had")
            return


def _accepted(answers: Sequence[TransferResult]) -> list[bool]:
    return [answer.code in (ResultCode.ACCEPTED, ResultCode.ALREADY_ACCEPTED) for answer in answers]
