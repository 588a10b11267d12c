"""Where does the time of an act go? One client: each statement as its caller waits for it, and the client's own functions."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any
from unittest.mock import patch

import psycopg

from bench.gating.desk import TENANT, GateDesk, Proposed, insert_proposals
from domain.decision import Decision
from gates.submission import decide_proposal
from serving.money.background import Background
from serving.money.service import MoneyService

_SHOWN = 25


@dataclass(frozen=True, slots=True)
class StatementTime:
    """Hold one statement by its first words: how often an act asks it, and what an act waits for it, in microseconds."""

    statement: str
    per_act: float
    us_per_act: float


@dataclass(frozen=True, slots=True)
class FunctionCpu:
    """Hold one Python function's own time for an act, in microseconds, under the profiler."""

    function: str
    per_act: float
    own_us_per_act: float


@dataclass(frozen=True, slots=True)
class Phase:
    """Hold one part of an act for one client at a time, in microseconds: how long it took, and who used the processor for it."""

    name: str
    took_us: float
    client_cpu_us: float
    server_cpu_us: float
    statements: list[StatementTime]


@dataclass(frozen=True, slots=True)
class GateProfile:
    """Hold both parts of an act, and the client's functions over the whole of it."""

    acts: int
    phases: list[Phase]
    functions: list[FunctionCpu]

    def as_json(self) -> dict[str, Any]:
        """Return it for the answer."""
        return asdict(self)

    def render(self) -> str:
        """Write it for people."""
        lines: list[str] = []
        for phase in self.phases:
            cpu = f"CPU {phase.client_cpu_us:.0f} us of the client, {phase.server_cpu_us:.0f} us of the server"
            lines.append(f"\n{phase.name}: {phase.took_us:.0f} us; {cpu}; as its caller waits for each statement:")
            lines += [f"{one.us_per_act:>9.1f} us {one.per_act:>6.2f} x  {one.statement}" for one in phase.statements]
        lines.append("\nthe client's functions, own time under the profiler:")
        lines += [f"{one.own_us_per_act:>9.1f} us {one.per_act:>6.1f} x  {one.function}" for one in self.functions]
        return "\n".join([*lines, ""])


@dataclass(slots=True)
class _Waits:
    count: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    spent_ns: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def rank(self, acts: int) -> list[StatementTime]:
        """Return the statements that cost most."""
        found = [StatementTime(text, self.count[text] / acts, self.spent_ns[text] / 1000 / acts) for text in self.count]
        return sorted(found, key=lambda one: -one.us_per_act)[:_SHOWN]


def take_profile(desk: GateDesk, acts: int) -> GateProfile:
    """Decide so many acts one after the other, then carry them out, both timed; then do as many under the profiler."""
    proposals = desk.take_proposals(2 * acts)
    with desk.connect("ai") as ai:
        insert_proposals(ai, proposals)
    timed, profiled = proposals[:acts], proposals[acts:]
    phases = [
        _time_phase(desk, "decided", timed, lambda service, one: _decide(service, one.proposal_id)),
        # The stored decision is found and carried out: some statements more than in one go.
        _time_phase(desk, "carried out and read back", timed, lambda service, one: service.decide(TENANT, one.proposal_id)),
    ]
    profiler = cProfile.Profile(time.thread_time)
    with desk.open_service() as service:
        with profiler:
            for one in profiled:
                service.decide(TENANT, one.proposal_id)
        Background(service).sequence()
    return GateProfile(acts, phases, _read_functions(profiler, acts))


def _time_phase(
    desk: GateDesk, name: str, proposals: Sequence[Proposed], act: Callable[[MoneyService, Proposed], object]
) -> Phase:
    waits, acts = _Waits(), len(proposals)
    with desk.server.metering() as meter, desk.open_service() as service, _noting(waits):
        began, began_cpu = time.perf_counter(), time.thread_time()
        for one in proposals:
            act(service, one)
        took_s, cpu_s = time.perf_counter() - began, time.thread_time() - began_cpu
    return Phase(name, took_s * 1e6 / acts, cpu_s * 1e6 / acts, meter.cpu_us / acts, waits.rank(acts))


def _decide(service: MoneyService, proposal_id: str) -> Decision:
    return decide_proposal(service.scope(TENANT), service.deps.rules, proposal_id, now=service.deps.clock.now())


@contextmanager
def _noting(waits: _Waits) -> Iterator[None]:
    """Note how long each statement's caller waits for it."""
    plain = psycopg.Cursor.execute

    def execute(cursor: psycopg.Cursor[Any], query: Any, *arguments: Any, **options: Any) -> Any:
        began = time.perf_counter_ns()
        try:
            return plain(cursor, query, *arguments, **options)
        finally:
            name = " ".join(str(query).split())[:110]
            waits.count[name] += 1
            waits.spent_ns[name] += time.perf_counter_ns() - began

    with patch.object(psycopg.Cursor, "execute", execute):
        yield


def _read_functions(profiler: cProfile.Profile, acts: int) -> list[FunctionCpu]:
    read: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    found = [
        FunctionCpu(f"{'/'.join(file.split('/')[-3:])}:{line} {name}", calls / acts, own * 1e6 / acts)
        for (file, line, name), (_, calls, own, _, _) in read.items()
    ]
    return sorted(found, key=lambda one: -one.own_us_per_act)[:_SHOWN]
