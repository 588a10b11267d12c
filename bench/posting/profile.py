"""Where does the time of a transfer go? The server's own times by function, the pieces timed one by one, and what is left."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.peer.pgbench import run_pgbench
from bench.peer.run import Run
from bench.posting.tenant import TENANT, BenchTenant
from bench.posting.workload import ACCOUNT_PREFIX, ACCOUNTS, HOT_ACCOUNT, make_requests
from domain.transfer import MAX_BATCH
from gates.execution import execute_transfers
from storage.named_queries import load_queries

_SQL = Path(__file__).parents[1] / "sql"
_QUERIES = load_queries(_SQL / "profile.sql")
_SECONDS = 4
_SINGLES_PER_S = 8_000
_CALLS = 10
# Few at a time: what one transaction updates again and again grows chains of versions that no real posting meets.
_PIECES_A_TIME = 400
_PIECES_TIMES = 5
# Functions below this share of the whole are summed up in one line.
_SHOWN_SHARE = 0.01
_SINGLE_PIECES = ("digest", "accounts", "authorization", "transfer", "waiting")


@dataclass(frozen=True, slots=True)
class Line:
    """Hold one part of a transfer's time in microseconds; `level` 1 and 2 are parts of the line above that is less deep."""

    what: str
    us: float
    level: int = 0


@dataclass(frozen=True, slots=True)
class FunctionTime:
    """Hold a database function's time for one transfer, in microseconds: with what it calls, and its own."""

    name: str
    total_us: float
    own_us: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Hold both tables. The first line of each is the whole."""

    one_call: list[Line]
    bulk_row: list[Line]

    def as_json(self) -> dict[str, Any]:
        """Return it for the answer."""
        return {name: [asdict(line) for line in getattr(self, name)] for name in self.__slots__}


def take_profile(tenant: BenchTenant) -> Profile:
    """Measure on the tenant's database, after everything else: it adds what no posting has."""
    tenant.server.run_sql("", tenant.dbname, files=[_SQL / "profile_schema.sql"])
    return Profile(_profile_one_call(tenant), _profile_bulk_row(tenant))


def render_profile(profile: Profile) -> str:
    """Write both tables for people."""
    parts: list[str] = []
    for title, lines in (
        ("one transfer a call, 1 client of pgbench", profile.one_call),
        (f"a transfer of a call with {MAX_BATCH:,}", profile.bulk_row),
    ):
        whole_us = lines[0].us or 1.0
        parts.append(f"\n{title}: microseconds, share\n")
        parts += [f"{'  ' * line.level + line.what:<64} {line.us:>8.2f} {line.us / whole_us:>6.1%}\n" for line in lines]
    return "".join(parts)


def _profile_one_call(tenant: BenchTenant) -> list[Line]:
    round_trip_us = _latency_us(_run_one_by_one(tenant, "round_trip"))
    synced = _run_one_by_one(tenant, "single_random")
    whole_us = _latency_us(synced)
    # The functions' times and the time around them are of one run: on a busy machine two runs differ by more than either.
    with _function_times(tenant) as functions:
        unsynced = _run_one_by_one(tenant, "single_random", options="-c synchronous_commit=off")
    unsynced_us = _latency_us(unsynced)
    pieces = _median_pieces([_time_pieces(tenant, "time_pieces", _PIECES_A_TIME) for _ in range(_PIECES_TIMES)])
    times = functions("ledger.post_one")
    function_us = next(one.total_us for one in times if one.name == "ledger.post_one")
    return [
        Line("whole call", whole_us),
        Line("client, protocol and back (SELECT 1)", round_trip_us),
        Line("function", function_us),
        *(Line(f"{one.name}, its own", one.own_us, 1) for one in _shown(times, function_us)),
        Line("pieces of ledger.post_plain, timed one by one", sum(pieces[name] for name in _SINGLE_PIECES), 1),
        Line("digest of the request", pieces["digest"], 2),
        Line("rows of both accounts", pieces["accounts"], 2),
        Line("authorization used up", pieces["authorization"], 2),
        *_transfer_lines(pieces),
        Line("row of the waiting list", pieces["waiting"], 2),
        Line("arguments, plan, commit without waiting", unsynced_us - round_trip_us - function_us),
        Line("waiting for the disk (fdatasync)", whole_us - unsynced_us),
        Line("processor time of the backend, of all that", synced.cpu_us),
        Line("the same without waiting for the disk", unsynced.cpu_us),
    ]


def _profile_bulk_row(tenant: BenchTenant) -> list[Line]:
    with _function_times(tenant) as functions:
        whole_us, client_us = _time_bulk(tenant)
    times = functions("ledger.post_many", rows_a_call=MAX_BATCH)
    function_us = next(one.total_us for one in times if one.name == "ledger.post_many")
    pieces = _median_pieces([_time_pieces(tenant, "time_batch_pieces", MAX_BATCH) for _ in range(_PIECES_TIMES)])
    return [
        Line("whole, by the clock", whole_us),
        Line("Python: columns and answers", client_us),
        Line("function", function_us),
        *(Line(f"{one.name}, its own", one.own_us, 1) for one in _shown(times, function_us)),
        Line("pieces of ledger.write_played, timed one by one", pieces["transfer"] + pieces["waiting"], 1),
        *_transfer_lines(pieces),
        Line("row of the waiting list", pieces["waiting"], 2),
        Line("protocol, commit and waiting for the disk", whole_us - client_us - function_us),
    ]


def _transfer_lines(pieces: dict[str, float]) -> list[Line]:
    return [
        Line("row of the transfer", pieces["transfer"], 2),
        Line("the row alone", pieces["bare"], 3),
        Line("three unique indexes", pieces["indexed"] - pieces["bare"], 3),
        Line("parts, row-level rights, guards, check", pieces["transfer"] - pieces["indexed"], 3),
    ]


def _shown(times: Sequence[FunctionTime], whole_us: float) -> list[FunctionTime]:
    shown = [one for one in times if one.own_us >= whole_us * _SHOWN_SHARE]
    rest_us = sum(one.own_us for one in times) - sum(one.own_us for one in shown)
    return [*shown, FunctionTime("the other functions", rest_us, rest_us)]


def _latency_us(run: Run) -> float:
    return 1e6 / run.per_s


def _run_one_by_one(tenant: BenchTenant, script: str, *, options: str = "") -> Run:
    environment = tenant.executor_environment()
    environment["PGOPTIONS"] += f" {options}"
    part = tenant.take_slice("random", clients=1, count=_SINGLES_PER_S * _SECONDS)
    if script != "round_trip":
        tenant.authorize(part)
    variables: dict[str, int | str] = {"i": 0, "base_ms": part.base_ms, "seed": part.seed, "accounts": ACCOUNTS}
    variables |= {"prefix": ACCOUNT_PREFIX, "hot": HOT_ACCOUNT}
    return run_pgbench(
        tenant.server,
        tenant.dbname,
        seconds=_SECONDS,
        script=_SQL / f"{script}.pgbench",
        clients=1,
        environment=environment,
        variables=variables,
    )


def _time_bulk(tenant: BenchTenant) -> tuple[float, float]:
    """Return the time by the clock and the processor time of this process, each for one transfer."""
    part = tenant.take_slice("random", clients=1, count=MAX_BATCH * _CALLS)
    tenant.authorize(part)
    requests = list(make_requests(part, at=datetime.now(UTC)))
    clock_s = own_s = 0.0
    with tenant.connect("executor") as executor:
        for first in range(0, len(requests), MAX_BATCH):
            batch = requests[first : first + MAX_BATCH]
            began_s, began_own_s = time.perf_counter(), time.thread_time()
            execute_transfers(executor, batch, now=datetime.now(UTC))
            clock_s += time.perf_counter() - began_s
            own_s += time.thread_time() - began_own_s
    return clock_s * 1e6 / len(requests), own_s * 1e6 / len(requests)


def _time_pieces(tenant: BenchTenant, query: str, count: int) -> dict[str, float]:
    tenant.authorize(tenant.take_slice("random", clients=1, count=count))
    with tenant.connect_admin() as admin, admin.transaction(force_rollback=True):
        admin.execute(_QUERIES["become_writer"])
        admin.execute(_QUERIES["note_tenant"], {"tenant_id": TENANT})
        return {str(what): float(us) for what, us in admin.execute(_QUERIES[query], {"tenant_id": TENANT})}


def _median_pieces(timed: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: median(one[name] for one in timed) for name in timed[0]}


@contextmanager
def _function_times(tenant: BenchTenant) -> Iterator[Any]:
    """Let the server time its functions in sessions that begin within the body; then give a reader of the times."""
    tenant.server.run_sql(f"ALTER DATABASE {tenant.dbname} SET track_functions = 'all'")
    with tenant.connect_admin() as admin:
        admin.execute(_QUERIES["reset_function_times"])
    rows: list[tuple[str, int, float, float]] = []

    def read(door: str, *, rows_a_call: int = 1) -> list[FunctionTime]:
        transfers = next(calls for name, calls, _, _ in rows if name == door) * rows_a_call
        return [FunctionTime(name, total / transfers, own / transfers) for name, _, total, own in rows]

    yield read
    tenant.server.run_sql(f"ALTER DATABASE {tenant.dbname} RESET track_functions")
    with tenant.connect_admin() as admin:
        rows += admin.execute(_QUERIES["list_function_times"]).fetchall()
