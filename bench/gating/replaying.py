"""How fast is history decided again, is it the same, and does twice as much take twice as long?"""

from __future__ import annotations

import time
from collections.abc import Callable

from psycopg import IsolationLevel

from bench.gating.desk import TENANT, GateDesk, insert_proposals
from bench.report import Figure
from gates.replay.reading import Window, count_decisions, iter_decisions, load_bundles, load_models
from gates.replay.replay import ReplayReport, replay_decisions
from gates.submission import decide_proposal

_WHOLE = 100_000
_CHUNK = 500


def measure_replay(desk: GateDesk, count: int, *, say: Callable[[str], None]) -> list[Figure]:
    """Replay the newest `count` stored decisions, and a quarter of them, as role auditor; what lacks of them is decided first."""
    _fill(desk, count, say)
    quarter, _ = _replay(desk, count // 4)
    took, report = _replay(desk, count)
    per_s = report.decisions / took
    return [
        Figure("replay_per_s", round(per_s), f"1/s over {report.decisions}", better="more"),
        Figure("replay_s_100k", round(_WHOLE / per_s), f"s, extrapolated from {report.decisions}", must=600),
        Figure(
            "replay_linearity", round((took / count) / (quarter / (count // 4)), 2), "x the time of one at a quarter", must=1.25
        ),
        Figure("replay_differences", report.decisions - report.identical, f"of {report.decisions}", must=0),
    ]


def _replay(desk: GateDesk, limit: int) -> tuple[float, ReplayReport]:
    with desk.connect("auditor") as auditor:
        auditor.isolation_level = IsolationLevel.REPEATABLE_READ
        with auditor.transaction():
            bundles, broken = load_bundles(auditor)
            if broken:
                raise RuntimeError(f"stored bundles cannot be used: {broken}")
            models = load_models(auditor)
            started = time.perf_counter()
            report = replay_decisions(iter_decisions(auditor, Window(limit=limit)), bundles, models)
            return time.perf_counter() - started, report


def _fill(desk: GateDesk, count: int, say: Callable[[str], None]) -> None:
    with desk.connect("auditor") as auditor, auditor.transaction():
        missing = count - count_decisions(auditor, Window())
    with desk.open_service() as service, desk.connect("ai") as ai:
        while missing > 0:
            proposals = desk.take_proposals(min(_CHUNK, missing))
            insert_proposals(ai, proposals)
            for one in proposals:
                decide_proposal(service.scope(TENANT), service.deps.rules, one.proposal_id, now=service.deps.clock.now())
            missing -= len(proposals)
            say(f"replay: {missing} decisions to store first")
