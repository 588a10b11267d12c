"""How far would this bundle move from what was decided lately? What an activation is measured by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from domain.clock import require_utc
from gates.policy.bundle import PolicyBundle
from gates.replay.backtest import backtest, drift_of
from gates.replay.reading import Window, iter_decisions

LOOK_BACK = timedelta(days=30)
MAX_DECISIONS = 5000


@dataclass(frozen=True, slots=True)
class Drift:
    """Hold the share of compared decisions that change, in thousandths, rounded up.

    `undecidable` ones are those whose recorded facts the bundle cannot judge: of them nothing is known.
    """

    permille: int
    decisions: int
    undecidable: int


def measure_drift(connection: Connection[Any], bundle: PolicyBundle, *, now: datetime) -> Drift:
    """Backtest a bundle on the newest 5,000 decisions of the last 30 days. Role gate or auditor, in the caller's transaction."""
    window = Window(since=require_utc(now) - LOOK_BACK, limit=MAX_DECISIONS)
    report = backtest(iter_decisions(connection, window), bundle)
    return Drift(permille=drift_of(report), decisions=report.compared, undecidable=report.undecidable)
