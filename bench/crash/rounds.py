"""Rounds of a storm: callers ask, something is killed at a random moment, it comes back, and every promise is checked.

`run_rounds` is the one entry. The seed draws requests, kills and moments; what the machine makes of them differs from run to run.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from bench.crash import planted
from bench.crash.books import Books, read_books
from bench.crash.bystanders import Bystanders
from bench.crash.caller import Caller, Switchboard
from bench.crash.checks import CHECKS, Violation, find_violations, gather
from bench.crash.diary import Asked, Diary, History
from bench.crash.kills import KILLS, Kill, Stage
from bench.crash.place import DATABASE, Place
from bench.crash.workload import CURRENCIES, Known, Workload, list_accounts
from domain.transfer import ResultCode
from storage.embedded import EmbeddedPostgres
from storage.setup import set_up_database

_CALLERS = 4
# Rounds with one tenant: its books are read whole after each.
_ROUNDS_A_TENANT = 10
_BEFORE_S = (0.3, 1.2)
_AFTER_S = 0.3
_ROUND_TIMEOUT_S = 180.0
_EXAMPLES = 20
SNAPSHOT = "snapshot_not_balanced"
"""The kind of what bystanders saw in the storm."""


@dataclass(frozen=True, slots=True)
class RoundLine:
    """Hold what happened in one round."""

    number: int
    kill: Kill
    requests: int
    in_doubt: int
    landed: int
    back_ms: int
    round_ms: int
    violations: int


@dataclass(slots=True)
class CrashReport:
    """Hold the sum of a run. `violations` by kind, all of them 0 in a ledger that keeps its word."""

    rounds: int
    seed: int
    fault: str | None
    seconds: int = 0
    requests: int = 0
    repeated_on_purpose: int = 0
    in_doubt: int = 0
    """Requests that went again, from the caller or from the writer, because no answer came."""
    landed: int = 0
    """Of those: the ones that had been written or refused before they went again."""
    transfers: int = 0
    refusals: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    reasons_of_doubt: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    snapshots_read: int = 0
    roll_ups: int = 0
    events_placed: int = 0
    violations: dict[str, int] = field(default_factory=lambda: dict.fromkeys([*CHECKS, SNAPSHOT], 0))
    examples: list[str] = field(default_factory=list)
    log: list[RoundLine] = field(default_factory=list)

    @property
    def violation_count(self) -> int:
        """Return how many promises were broken in all."""
        return sum(self.violations.values())

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        named = {one.name: getattr(self, one.name) for one in fields(self)}
        counted = {name: dict(value) for name, value in named.items() if isinstance(value, Counter)}
        return {**named, **counted, "log": [asdict(line) for line in self.log], "violation_count": self.violation_count}

    def add(self, found: Sequence[Violation]) -> None:
        """Count violations and keep some as examples."""
        for one in found:
            self.violations[one.kind] += 1
            if len(self.examples) < _EXAMPLES:
                self.examples.append(f"{one.kind}: {one.where}")


def run_rounds(
    rounds: int, seed: int, *, fault: planted.Fault | None = None, say: Callable[[str], None] = lambda _: None
) -> CrashReport:
    """Run rounds on a server of their own; with a planted fault, only till it is found. Call from the main thread.

    `say` gets a line a round. Raises: NotBack, ServerGone, TimeoutError when a part does not come back.
    """
    report = CrashReport(rounds=0, seed=seed, fault=fault)
    started = time.monotonic()
    rng = Random(seed)
    with _server(fault) as (server, folder):
        kills = _draw_kills(rng)
        tenants: list[_Tenant] = []
        while report.rounds < rounds and not (fault and report.violation_count):
            tenant = _Tenant.open(server, folder, f"storm-{report.rounds // _ROUNDS_A_TENANT}", rng, fault)
            tenants.append(tenant)
            try:
                for _ in range(min(_ROUNDS_A_TENANT, rounds - report.rounds)):
                    line = tenant.run_round(report, next(kills))
                    report.log.append(line)
                    say(_describe(line, report))
                    if fault and report.violation_count:
                        break
            finally:
                tenant.close()
        for tenant in tenants[:-1]:
            # What later crashes may have done to what had long been acknowledged.
            report.add(tenant.find_violations())
    report.seconds = round(time.monotonic() - started)
    return report


def _describe(line: RoundLine, report: CrashReport) -> str:
    text = (
        f"round {line.number} {line.kill}: {line.requests} requests, {line.in_doubt} in doubt, {line.landed} of them landed,"
        f" back after {line.back_ms} ms, {line.round_ms} ms in all, {line.violations} violations"
    )
    return "\n  ".join([text, *report.examples[-3:]]) if line.violations else text


def _draw_kills(rng: Random) -> Iterator[Kill]:
    """Every kind once in each block of them, in a drawn order."""
    while True:
        yield from rng.sample(KILLS, len(KILLS))


@contextmanager
def _server(fault: planted.Fault | None) -> Iterator[tuple[EmbeddedPostgres, Path]]:
    folder = Path(tempfile.mkdtemp(prefix="tg-crash-"))
    settings = planted.DATABASE_SETTINGS.get(fault) if fault else None
    server = EmbeddedPostgres(home=folder / "postgres", secrets_dir=folder / "secrets", settings=settings)
    try:
        server.start()
        set_up_database(
            maintenance_dsn=server.admin_dsn(),
            admin_dsn=server.admin_dsn(DATABASE),
            dbname=DATABASE,
            secrets_dir=folder / "secrets",
        )
        with psycopg.connect(server.admin_dsn(DATABASE), autocommit=True) as admin:
            planted.plant_in_database(fault, admin)
        yield server, folder
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True)
class _Tenant:
    """Hold a tenant's callers, diaries and processes for some rounds."""

    stage: Stage
    rng: Random
    callers: list[Caller]
    history: History
    units_before: int = 0
    transfers_before: int = 0
    refusals_before: int = 0

    @classmethod
    def open(cls, server: EmbeddedPostgres, folder: Path, tenant_id: str, rng: Random, fault: planted.Fault | None) -> _Tenant:
        """Open accounts, start the worker, give each caller a diary."""
        address = server.address
        place = Place(address.host, address.port, str(folder / "secrets"), tenant_id)
        with place.connect("importer") as importer:
            for currency in CURRENCIES:
                for code, flag in list_accounts(currency):
                    importer.execute(
                        "SELECT ledger.define_account(%s, %s, %s, %s, %s, %s)",
                        [
                            code, currency, flag == "debits_within_credits", flag == "credits_within_debits", flag == "rolled_up",
                            datetime.now(UTC),
                        ],
                    )  # fmt: skip
        admin_dsn = server.admin_dsn(DATABASE)
        diaries = folder / tenant_id
        diaries.mkdir()
        switchboard, known = Switchboard(), Known()
        stage = Stage(server, admin_dsn, place, folder, switchboard, fault)
        callers = [
            Caller(
                f"caller-{number}", place, switchboard, Workload(number, Random(rng.getrandbits(64)), known),
                Diary(diaries / f"caller-{number}.diary"), loyal=number % 2 == 0,
            )
            for number in range(_CALLERS)
        ]  # fmt: skip
        stage.start_worker()
        return cls(stage, rng, callers, History(diaries))

    def close(self) -> None:
        """End the worker and close the diaries."""
        self.stage.end()
        for caller in self.callers:
            caller.diary.close()

    def run_round(self, report: CrashReport, kill: Kill) -> RoundLine:
        """Storm, kill, recover, check; add to the report."""
        started = time.monotonic()
        bystanders = Bystanders(self.stage.place, self.stage.admin_dsn, self.stage.fault)
        switchboard = self.stage.switchboard
        switchboard.stop.clear()
        bystanders.arrive()
        threads = [threading.Thread(target=caller.run, daemon=True) for caller in self.callers]
        for thread in threads:
            thread.start()
        try:
            time.sleep(self.rng.uniform(*_BEFORE_S))
            killed = time.monotonic()
            self.stage.kill(kill, self.rng)
            back_ms = round((time.monotonic() - killed) * 1000)
            time.sleep(_AFTER_S)
        finally:
            switchboard.stop.set()
            for thread in threads:
                thread.join(_ROUND_TIMEOUT_S)
            bystanders.leave()
        self._require_all_done(threads)
        self.stage.clear_away()
        report.rounds += 1
        report.kills[kill] += 1
        return self._close_round(report, bystanders, kill, back_ms, started)

    def find_violations(self) -> list[Violation]:
        """Check the tenant as it is now, with nobody at work."""
        return find_violations(gather(self.history, self._read_books()))

    def _read_books(self) -> Books:
        return read_books(self.stage.admin_dsn, self.stage.place.tenant_id)

    def _require_all_done(self, threads: Sequence[threading.Thread]) -> None:
        if any(thread.is_alive() for thread in threads):
            raise TimeoutError("callers did not end their round")
        for caller in self.callers:
            if caller.failure is not None:
                raise caller.failure

    def _close_round(self, report: CrashReport, bystanders: Bystanders, kill: Kill, back_ms: int, started: float) -> RoundLine:
        self.history.read_on()
        books = self._read_books()
        found = find_violations(gather(self.history, books))
        found += [Violation(SNAPSHOT, finding) for finding in bystanders.findings]
        report.add(found)
        units = list(self.history.units.values())[self.units_before :]
        self.units_before += len(units)
        fresh = [unit for unit in units if unit.sort == "fresh"]
        lost = self.stage.take_lost_calls()
        doubted = [unit for unit in fresh if unit.doubts or _had_landed(unit) or unit.requests[0].transfer_id in lost]
        in_doubt, landed = _count(doubted), _count([unit for unit in doubted if _had_landed(unit)])
        report.requests += _count(units)
        report.repeated_on_purpose += _count(units) - _count(fresh)
        report.in_doubt += in_doubt
        report.landed += landed
        report.answers.update(answer.code.value for unit in units for answer in unit.answers or ())
        report.transfers += len(books.transfers) - self.transfers_before
        report.refusals += len(books.refusals) - self.refusals_before
        self.transfers_before, self.refusals_before = len(books.transfers), len(books.refusals)
        report.snapshots_read += bystanders.reads
        report.events_placed += bystanders.events_placed
        report.roll_ups += bystanders.roll_ups
        report.reasons_of_doubt.update(reason for unit in units for reason in unit.doubts)
        round_ms = round((time.monotonic() - started) * 1000)
        return RoundLine(report.rounds, kill, _count(units), in_doubt, landed, back_ms, round_ms, len(found))


def _had_landed(unit: Asked) -> bool:
    known = (ResultCode.ALREADY_ACCEPTED, ResultCode.REFUSED_BEFORE)
    return any(answer.code in known for answer in unit.answers or ())


def _count(units: Sequence[Asked]) -> int:
    return sum(len(unit.requests) for unit in units)


def print_line(line: str) -> None:
    """Write a line to standard error, where progress goes."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
