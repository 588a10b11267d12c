"""How fast does the gate decide, alone and under load, and does it hold under counted attacks?

Needs no running service: it makes a server in a folder of its own, a tenant written by the roles that write in life, and an
open-loop load on the acts of the money process. Options: --only PARTS (pure, counts, path, replay, features), --count N (at most
so many of each count), --rate N and --posting-rate N (proposals a second), --seconds N (one load), --repeats N (of each pure
piece), --replay N (stored decisions), --acts N (executed ones behind the features), --service (keep a running service with its
models busy instead of stand-ins), --profile (where the time of an act goes, too), --json. Fails when a count that must be zero
is not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.features import measure_feature_reads
from bench.gating.busy import keeping_busy
from bench.gating.counts import measure_counts, tell
from bench.gating.desk import GateDesk
from bench.gating.load import Timings, run_load
from bench.gating.profile import take_profile
from bench.gating.pure import measure_pure
from bench.gating.replaying import measure_replay
from bench.peer.server import BenchServer, start_server
from bench.report import Figure, print_report

PARTS = ("pure", "counts", "path", "replay", "features")
_ON_SERVER = frozenset({"path", "replay"})
_WARM_ACTS = 200
_PROFILED_ACTS = 300
_FEATURE_READS = 1_000
_MAX_SECONDS = 300


@dataclass(slots=True)
class Measured:
    """Hold the figures, and what a reader needs beside them."""

    figures: list[Figure] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


def main(arguments: list[str]) -> int:
    """Measure the chosen parts and print; 1 when something that must be zero is not, or a part could not run."""
    options = _read_options(arguments)
    measured = Measured()
    try:
        _measure(options, measured)
    except RuntimeError as error:
        sys.stderr.write(f"bench gate: {error}\n")
        return 1
    profile = measured.more.pop("profile", None)
    more = measured.more | ({"profile": profile.as_json()} if profile else {})
    print_report("gate", measured.figures, as_json=options.json, **more)
    if profile and not options.json:
        sys.stdout.write(profile.render())
    broken = list_broken(measured.figures)
    for figure in broken:
        sys.stderr.write(f"bench gate: {figure.name} is {figure.value}, it must be 0\n")
    return 1 if broken else 0


def list_broken(figures: Sequence[Figure]) -> list[Figure]:
    """Return the figures of what must never happen, and did. Speed is not among them."""
    return [figure for figure in figures if figure.must == 0 and figure.value]


def _measure(options: argparse.Namespace, measured: Measured) -> None:
    if "pure" in options.only:
        measured.figures += measure_pure(options.repeats)
    if "counts" in options.only:
        measured.figures += measure_counts(options.count, say=tell)
    if _ON_SERVER & set(options.only) or options.profile:
        with start_server() as server:
            _measure_on_server(server, options, measured)
    if "features" in options.only:
        with start_server() as server:
            measured.figures += _measure_features(server, options)


def _measure_on_server(server: BenchServer, options: argparse.Namespace, measured: Measured) -> None:
    desk = GateDesk(server, acts=_count_acts(options))
    desk.set_up()
    desk.warm_up(_WARM_ACTS)
    measured.more["settings"] = {**server.read_settings(), "seconds": str(options.seconds), "rate": str(options.rate)}
    if "path" in options.only:
        _measure_path(desk, options, measured)
    if options.profile:
        measured.more["profile"] = take_profile(desk, _PROFILED_ACTS)
    if "replay" in options.only:
        measured.figures += measure_replay(desk, options.replay, say=tell)


def _measure_path(desk: GateDesk, options: argparse.Namespace, measured: Measured) -> None:
    # First: the sweeper would execute what the other loads leave allowed.
    posting = run_load(desk, rate_per_s=options.posting_rate, seconds=options.seconds, carried_out=True)
    breaches = desk.count_breaches()
    tell(f"posting: {posting.as_json()}")
    idle = run_load(desk, rate_per_s=options.rate, seconds=options.seconds, carried_out=False)
    tell(f"idle: {idle.as_json()}")
    with keeping_busy(service=options.service) as busy_with:
        busy = run_load(desk, rate_per_s=options.rate, seconds=options.seconds, carried_out=False)
    tell(f"busy: {busy.as_json()}")
    breaches |= {name: count for name, count in desk.count_breaches().items() if name != "unposted"}
    measured.figures += list_path_figures(idle, busy, posting, busy_with=busy_with)
    measured.figures += [Figure(f"{name}_after_load", count, "records", must=0) for name, count in breaches.items()]
    measured.more |= {"loads": {"idle": idle.as_json(), "busy": busy.as_json(), "posting": posting.as_json()}}
    measured.more |= {"busy_with": busy_with, "outcomes": desk.count_outcomes()}


def list_path_figures(idle: Timings, busy: Timings, posting: Timings, *, busy_with: str) -> list[Figure]:
    """Return how long decisions and postings took. `busy_with` says what else the cores did."""
    idle_ms, busy_ms = idle.decided_ms(99), busy.decided_ms(99)
    at, posted_at = f"ms at {idle.rate_per_s}/s", f"ms at {posting.rate_per_s}/s"
    faults = sum(sum(load.faults.values()) for load in (idle, busy, posting))
    ratio = None if not idle_ms or busy_ms is None else round(busy_ms / idle_ms, 2)
    figures = [
        Figure(f"decide_p99_ms_at_{idle.rate_per_s}", idle_ms, at, must=20),
        Figure(f"decide_p50_ms_at_{idle.rate_per_s}", idle.decided_ms(50), at),
        Figure("decided_per_s", round(idle.decided_per_s, 1), f"1/s of {idle.rate_per_s}", better="more"),
        Figure("decide_client_cpu_us", round(idle.client_cpu_us), "us an act, idle load"),
        Figure("decide_server_cpu_us", round(idle.server_cpu_us), "us an act, idle load"),
        Figure("decide_p99_ms_busy", busy_ms, f"{at}; {busy_with}", must=20),
        Figure("decide_p99_busy_vs_idle", ratio, f"x; {busy_with}"),
        Figure("proposal_to_posting_p95_ms", posting.posted_ms(95), posted_at, must=150),
        Figure("proposal_to_posting_p50_ms", posting.posted_ms(50), posted_at),
        Figure("faults_under_load", faults, "acts that met an error, a 503 among them"),
    ]
    return [figure if figure.value is not None else replace(figure, reason="nothing was decided") for figure in figures]


def _measure_features(server: BenchServer, options: argparse.Namespace) -> list[Figure]:
    figures = measure_feature_reads(server, acts=options.acts, reads=_FEATURE_READS)
    p95_us = next(figure.value for figure in figures if figure.name == "feature_read_p95_us")
    return [
        Figure("features_read_p95_ms", None if p95_us is None else round(p95_us / 1000, 2), f"ms over {options.acts} acts"),
        *figures,
    ]


def _count_acts(options: argparse.Namespace) -> int:
    """Return how many acts all parts ask for at most; each load has a second before it that is not counted."""
    loads = (options.seconds + 1) * (2 * options.rate + options.posting_rate) if "path" in options.only else 0
    profiled = 2 * _PROFILED_ACTS if options.profile else 0
    return _WARM_ACTS + loads + profiled + (options.replay if "replay" in options.only else 0)


def _read_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./tellergate bench gate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS), metavar="PARTS")
    parser.add_argument("--count", type=int, default=None)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--posting-rate", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=1_000)
    parser.add_argument("--replay", type=int, default=5_000)
    parser.add_argument("--acts", type=int, default=200_000)
    parser.add_argument("--service", action="store_true")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args(arguments)
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {', '.join(PARTS)}")
    if options.count is not None and options.count < 1:
        parser.error("--count from 1")
    if min(options.rate, options.posting_rate, options.repeats, options.acts) < 1 or options.replay < 4:
        parser.error("--rate, --posting-rate, --repeats and --acts from 1, --replay from 4")
    if not 1 <= options.seconds <= _MAX_SECONDS:
        parser.error(f"--seconds 1 to {_MAX_SECONDS}")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
