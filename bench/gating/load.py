"""An open-loop load on the gate: proposals come at their own times, and are decided, sequenced, executed."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.gating.desk import TENANT, GateDesk, Proposed, insert_proposals
from bench.report import percentile
from domain.decision import Decision
from gates.submission import GateScope, decide_proposal
from serving.money.background import Background
from serving.money.service import MoneyService, take_short_turns
from serving.money.views import DecisionView

# As many as the web server of the money process lets work at once.
_WORKERS = 40
# The inbox is filled so far ahead of each proposal's time; the sweeper takes what nobody asked for after 2 s.
_AHEAD_S = 1.2
_STEP_S = 0.1
_WARM_S = 1.0
_PLACED_WITHIN_S = 120.0


@dataclass(slots=True)
class Timings:
    """Hold microseconds from the moment a proposal came: until its decision was stored, and until its posting was read back.

    Processor time is an act's share of all that the load made run: this process, feeder and sequencer in it, and the backends.
    """

    rate_per_s: int
    decided_us: list[int] = field(default_factory=list)
    posted_us: list[int] = field(default_factory=list)
    late_us: list[int] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0
    client_cpu_us: float = 0.0
    server_cpu_us: float = 0.0

    @property
    def decided_per_s(self) -> float:
        """Return how many were decided each second, the last ones that were behind included."""
        return len(self.decided_us) / self.took_s if self.took_s else 0.0

    def decided_ms(self, share_percent: int) -> float | None:
        """Return a percentile of the time until the decision was stored; None when nothing was."""
        return _ms(self.decided_us, share_percent)

    def posted_ms(self, share_percent: int) -> float | None:
        """Return a percentile of the time until the posting was read back; None when nothing was."""
        return _ms(self.posted_us, share_percent)

    def as_json(self) -> dict[str, Any]:
        """Return what a reader needs to judge the figures."""
        return {
            "rate_per_s": self.rate_per_s,
            "decided": len(self.decided_us),
            "decided_per_s": round(self.decided_per_s, 1),
            "posted": len(self.posted_us),
            "dispatcher_late_ms_p99": _ms(self.late_us, 99),
            "decided_ms": {f"p{share}": _ms(self.decided_us, share) for share in (50, 95, 99)},
            "posted_ms": {f"p{share}": _ms(self.posted_us, share) for share in (50, 95, 99)},
            "faults": dict(self.faults),
            "cpu_us_per_act": {"client": round(self.client_cpu_us), "server": round(self.server_cpu_us)},
        }


class _TimedService(MoneyService):
    """Note in each thread when the decision was stored, before it is carried out."""

    def __init__(self, service: MoneyService) -> None:
        super().__init__(service.deps)
        self.stored = threading.local()

    def _carry_out(self, scope: GateScope, decision: Decision) -> DecisionView:
        self.stored.at = time.perf_counter()
        return super()._carry_out(scope, decision)


def run_load(desk: GateDesk, *, rate_per_s: int, seconds: int, carried_out: bool) -> Timings:
    """Let proposals come at this rate; the first second warms up and is not counted.

    The threads, pools and sequencer are those of the money process; the HTTP between the processes is left out. `carried_out`:
    what is allowed is executed and read back at once, and the sweeper runs too; otherwise allows are left to their expiry.
    """
    warm = int(rate_per_s * _WARM_S)
    proposals = desk.take_proposals(warm + rate_per_s * seconds)
    timings = Timings(rate_per_s)
    began_cpu = time.process_time()
    with desk.server.metering() as meter, desk.open_service() as plain:
        service = _TimedService(plain)
        take_short_turns()
        gc.collect()
        gc.freeze()
        try:
            with _sweeping(service) if carried_out else _sequencing(service):
                _offer(desk, service, proposals, timings, warm=warm, carried_out=carried_out)
                _wait_until_placed(desk, service)
        finally:
            gc.unfreeze()
    timings.client_cpu_us = (time.process_time() - began_cpu) * 1e6 / len(proposals)
    timings.server_cpu_us = meter.cpu_us / len(proposals)
    return timings


@contextmanager
def _sweeping(service: MoneyService) -> Iterator[None]:
    """Do what the money process does unasked, all of it, in its one thread."""
    background = Background(service)
    background.start()
    try:
        yield
    finally:
        background.stop()


@contextmanager
def _sequencing(service: MoneyService) -> Iterator[None]:
    """Place what is stored, as the money process does when it is woken, and do nothing else unasked."""
    background, ended = Background(service), threading.Event()

    def keep_sequencing() -> None:
        while not ended.is_set():
            background.wait_for_events()
            service.wake.clear()
            background.sequence()

    thread = threading.Thread(target=keep_sequencing)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        service.wake.set()
        thread.join()


def _offer(
    desk: GateDesk, service: _TimedService, proposals: Sequence[Proposed], timings: Timings, *, warm: int, carried_out: bool
) -> None:
    decide = _carry_out if carried_out else _decide
    began = time.perf_counter() + _AHEAD_S
    ended = threading.Event()
    feeder = threading.Thread(target=_feed, args=(desk, proposals, began, timings.rate_per_s, ended))
    feeder.start()
    waiting: list[tuple[bool, Future[tuple[int, int | None]]]] = []
    try:
        with ThreadPoolExecutor(_WORKERS) as threads:
            for number, proposal in enumerate(proposals):
                due = began + number / timings.rate_per_s
                _sleep_until(due)
                if number >= warm:
                    timings.late_us.append(int((time.perf_counter() - due) * 1e6))
                waiting.append((number >= warm, threads.submit(decide, service, proposal.proposal_id, due)))
    finally:
        ended.set()
        feeder.join()
    timings.took_s = time.perf_counter() - began - warm / timings.rate_per_s
    for counted, future in waiting:
        if (error := future.exception()) is not None:
            timings.faults[type(error).__name__] += 1
        elif counted:
            decided_us, posted_us = future.result()
            timings.decided_us.append(decided_us)
            timings.posted_us += [] if posted_us is None else [posted_us]


def _decide(service: _TimedService, proposal_id: str, due: float) -> tuple[int, int | None]:
    decide_proposal(service.scope(TENANT), service.deps.rules, proposal_id, now=service.deps.clock.now())
    ended = time.perf_counter()
    service.wake.set()
    return int((ended - due) * 1e6), None


def _carry_out(service: _TimedService, proposal_id: str, due: float) -> tuple[int, int | None]:
    view = service.decide(TENANT, proposal_id)
    ended = time.perf_counter()
    return int((service.stored.at - due) * 1e6), None if view.posting is None else int((ended - due) * 1e6)


def _feed(desk: GateDesk, proposals: Sequence[Proposed], began: float, rate_per_s: int, ended: threading.Event) -> None:
    """Put each proposal into the inbox a little before its time, as the agents do while nobody decides."""
    step = max(1, int(rate_per_s * _STEP_S))
    with desk.connect("ai") as ai:
        for first in range(0, len(proposals), step):
            _sleep_until(began + first / rate_per_s - _AHEAD_S)
            if ended.is_set():
                return
            insert_proposals(ai, proposals[first : first + step])


def _sleep_until(moment: float) -> None:
    while (left := moment - time.perf_counter()) > 0:
        time.sleep(left)


def _wait_until_placed(desk: GateDesk, service: MoneyService) -> None:
    """Let the sequencer catch up, so that the counts of what is left are of a quiet log."""
    deadline = time.monotonic() + _PLACED_WITHIN_S
    while desk.count_breaches()["unplaced"] and time.monotonic() < deadline:
        service.wake.set()
        time.sleep(0.2)


def _ms(values_us: Sequence[int], share_percent: int) -> float | None:
    return round(percentile(values_us, share_percent) / 1000, 2) if values_us else None
