"""How fast and how large is the ledger beside TPC-B and pgledger, on one throw-away server in one run?

Needs no running service: it makes a server in a folder of its own, with the product's settings, and a tenant with real roles,
decisions and limits. Options: --pgledger FILE (pgledger.sql, its ULID files beside it; without it that peer is left out),
--rounds N, --seconds N (one reading), --calls N (of 8,000 in a bulk reading), --only NAMES (comma-separated contenders),
--scale N (TPC-B's), --million (the ledger's check over a million transfers, too), --profile (where the time of a transfer goes,
too), --crash-rounds N or --skip-crash (kill -9 on servers of their own, about 3 s a round), --json.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.crash.rounds import run_rounds
from bench.peer import tpcb
from bench.peer.pgledger import MODES, Pgledger
from bench.peer.rounds import read_rounds
from bench.peer.run import Reading, Run
from bench.peer.server import BenchServer, start_server
from bench.posting.bulk import run_bulk
from bench.posting.callers import run_callers
from bench.posting.figures import compare, render_readings, size_figure, summarize
from bench.posting.million import check_million
from bench.posting.profile import Profile, render_profile, take_profile
from bench.posting.single import run_single
from bench.posting.tenant import BenchTenant
from bench.posting.workload import ACCOUNTS, Mode
from bench.report import Figure, print_report

# Authorizations must outlast a reading, and they live for 60 s.
_MAX_SECONDS = 30
_MAX_CALLS = 100
_FIRST_GUESS_PER_S = 16_000
_CALLERS_GUESS_PER_S = 20_000
_CRASH_ROUNDS = 200
_SINGLES: tuple[Mode, ...] = ("random", "hot")
_BULKS: tuple[Mode, ...] = ("random", "hot", "reject")
_CALLERS = (64, 1024)
CONTENDERS = (
    "tpcb",
    *(f"pgledger_{mode}" for mode in MODES),
    *(f"single_{mode}" for mode in _SINGLES),
    *(f"callers{callers}" for callers in _CALLERS),
    *(f"bulk_{mode}" for mode in _BULKS),
)


@dataclass(slots=True)
class Pace:
    """Guess how many authorizations a reading needs: twice the best rate so far, never less than the first guess."""

    per_s: dict[str, int] = field(default_factory=dict)

    def run(self, name: str, guess_per_s: int, run: Callable[[int], Run]) -> Run:
        """Run with the guess and learn from the result."""
        done = run(max(guess_per_s, self.per_s.get(name, 0)))
        self.per_s[name] = max(self.per_s.get(name, 0), int(done.per_s * 2))
        return done


@dataclass(frozen=True, slots=True)
class Measured:
    """Hold everything that one run gave."""

    figures: list[Figure]
    peers: list[dict[str, str]]
    readings: dict[str, list[Reading]]
    profile: Profile | None
    settings: dict[str, str]

    def more(self) -> dict[str, Any]:
        """Return what goes into the program's answer beside the figures."""
        made: dict[str, Any] = {"settings": self.settings, "readings": summarize(self.readings)}
        return made | ({"profile": self.profile.as_json()} if self.profile else {})


def main(arguments: list[str]) -> int:
    """Set up, measure, print; 1 when the server, a peer or the books failed."""
    options = _read_options(arguments)
    try:
        with start_server() as server:
            measured = _measure(server, options)
        measured.figures.extend(_crash_figures(options))
    except RuntimeError as error:
        sys.stderr.write(f"bench ledger: {error}\n")
        return 1
    print_report("ledger", measured.figures, as_json=options.json, peers=measured.peers, **measured.more())
    if not options.json:
        sys.stdout.write(render_readings(measured.readings))
        if measured.profile:
            sys.stdout.write(render_profile(measured.profile))
    return 0


def _measure(server: BenchServer, options: argparse.Namespace) -> Measured:
    tenant = BenchTenant(server)
    tenant.set_up()
    contenders, peers = _make_contenders(server, tenant, options)
    readings = read_rounds(server, contenders, rounds=options.rounds)
    tenant.check_books()
    if options.pgledger:
        Pgledger(server, options.pgledger, ACCOUNTS).check_books()
    # Before the profile, which leaves other rows behind.
    figures = [*compare(readings), size_figure(*tenant.find_size())]
    figures.append(
        check_million(server) if options.million else Figure("ledger_check_s_1m", None, "s", reason="--million measures it")
    )
    profile = take_profile(tenant) if options.profile else None
    settings = {**server.read_settings(), "rounds": str(options.rounds), "seconds": str(options.seconds)}
    return Measured(figures, peers, readings, profile, settings)


def _make_contenders(
    server: BenchServer, tenant: BenchTenant, options: argparse.Namespace
) -> tuple[dict[str, Callable[[], Run]], list[dict[str, str]]]:
    made: dict[str, Callable[[], Run]] = {"tpcb": partial(tpcb.run, server, seconds=options.seconds)}
    peers = [{"name": "tpcb", "what": f"pgbench's TPC-B-like transaction, prepared, scale {options.scale}"}]
    if options.pgledger:
        pgledger = Pgledger(server, options.pgledger, ACCOUNTS)
        made |= {f"pgledger_{mode}": partial(pgledger.run, mode, seconds=options.seconds) for mode in MODES}
        peers.append({"name": "pgledger", "sha256": hashlib.sha256(options.pgledger.read_bytes()).hexdigest()})
    pace = Pace()
    for mode in _SINGLES:
        single = partial(_run_single, tenant, mode, options.seconds)
        made[f"single_{mode}"] = partial(pace.run, f"single_{mode}", _FIRST_GUESS_PER_S, single)
    for callers in _CALLERS:
        asking = partial(_run_callers, tenant, callers, options.seconds)
        made[f"callers{callers}"] = partial(pace.run, f"callers{callers}", _CALLERS_GUESS_PER_S, asking)
    for mode in _BULKS:
        made[f"bulk_{mode}"] = partial(run_bulk, tenant, mode, calls=options.calls)
    chosen = {name: run for name, run in made.items() if not options.only or name in options.only}
    if "tpcb" in chosen:
        tpcb.set_up(server, scale=options.scale)
    if any(name.startswith("pgledger") for name in chosen):
        pgledger.set_up()
    return chosen, peers


def _run_single(tenant: BenchTenant, mode: Mode, seconds: int, per_s_at_most: int) -> Run:
    return run_single(tenant, mode, seconds=seconds, per_s_at_most=per_s_at_most)


def _run_callers(tenant: BenchTenant, callers: int, seconds: int, per_s_at_most: int) -> Run:
    return run_callers(tenant, callers, seconds=seconds, per_s_at_most=per_s_at_most)


def _crash_figures(options: argparse.Namespace) -> list[Figure]:
    if options.skip_crash:
        reason = "left out by --skip-crash"
        return [
            Figure("kill9_rounds", None, "rounds", must=_CRASH_ROUNDS, better="more", reason=reason),
            Figure("kill9_violations", None, "violations", must=0, reason=reason),
        ]
    report = run_rounds(options.crash_rounds, 1, say=lambda line: print(line, file=sys.stderr))
    for example in report.examples:
        sys.stderr.write(f"violation: {example}\n")
    return [
        Figure("kill9_rounds", report.rounds, "rounds", must=_CRASH_ROUNDS, better="more"),
        Figure("kill9_violations", report.violation_count, "violations", must=0),
    ]


def _read_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./tellergate bench ledger", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pgledger", type=Path, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=15)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--scale", type=int, default=tpcb.SCALE)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--crash-rounds", type=int, default=_CRASH_ROUNDS)
    parser.add_argument("--skip-crash", action="store_true")
    options = parser.parse_args(arguments)
    if (
        min(options.rounds, options.scale, options.crash_rounds) < 1
        or not 1 <= options.seconds <= _MAX_SECONDS
        or not 1 <= options.calls <= _MAX_CALLS
    ):
        parser.error(f"--rounds, --scale and --crash-rounds from 1, --seconds 1 to {_MAX_SECONDS}, --calls 1 to {_MAX_CALLS}")
    if unknown := set(options.only) - set(CONTENDERS):
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {', '.join(CONTENDERS)}")
    if not options.pgledger and any(name.startswith("pgledger") for name in options.only):
        parser.error("--only: pgledger needs --pgledger FILE")
    if options.pgledger and not options.pgledger.is_file():
        parser.error(f"--pgledger: no file {options.pgledger}")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
