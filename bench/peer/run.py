"""What one run of one contender gives, and what it reads as."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """Hold what was done: transfers, their rate without the time to connect, and the processor time for each.

    `cpu_us` is of the server's backends, `client_cpu_us` of who asks. `p50_ms` and `p99_ms`: how long callers waited for their
    answers, where that was read.
    """

    count: int
    per_s: float
    cpu_us: float
    client_cpu_us: float
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold a run and how the machine was just before it: its load and the median of an fdatasync."""

    run: Run
    load: float
    fdatasync_us: float
