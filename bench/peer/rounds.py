"""Let all contenders run in turn, round by round, so that what else the machine does falls on all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

from bench.peer.run import Reading, Run
from bench.peer.server import BenchServer

Contenders = Mapping[str, Callable[[], Run]]


def read_rounds(server: BenchServer, contenders: Contenders, *, rounds: int) -> dict[str, list[Reading]]:
    """Run each contender once a round, in reverse order in every other round. The lists are in the order of the rounds."""
    readings: dict[str, list[Reading]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in names if number % 2 == 0 else reversed(names):
            load, fdatasync_us = os.getloadavg()[0], server.probe_fdatasync_us()
            reading = Reading(contenders[name](), load, fdatasync_us)
            readings[name].append(reading)
            _tell(number + 1, name, reading)
    return readings


def _tell(number: int, name: str, reading: Reading) -> None:
    run = reading.run
    waited = "" if run.p99_ms is None else f"  p50 {run.p50_ms:.1f} ms  p99 {run.p99_ms:.1f} ms"
    sys.stderr.write(
        f"round {number}  {name:<16} {run.per_s:>9.0f}/s  cpu {run.cpu_us:>7.1f} us, client {run.client_cpu_us:>5.1f} us{waited}"
        f"  load {reading.load:.1f}  fdatasync {reading.fdatasync_us:.0f} us\n"
    )
    sys.stderr.flush()
