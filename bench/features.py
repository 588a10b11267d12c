"""How long does one read of velocity take over a month of executed acts, before and after its hours are folded?

Needs no running service: it makes a server in a folder of its own. Options: --acts N (200,000), --reads N (2,000), --json.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from psycopg import Connection

from bench.peer.server import BenchServer, start_server
from bench.report import Figure, percentile, print_report
from gates.features import fold_hours, read_velocity
from gates.resolution import ResolvedIds
from storage.named_queries import load_queries
from storage.roles import read_role_password
from storage.server_address import ServerAddress
from storage.setup import set_up_database
from storage.tenancy import mint_context, read_context_key

_TENANT = "bench"
_DBNAME = "tellergate"
_QUERIES = load_queries(Path(__file__).parent / "sql" / "features.sql")
_SEED = 1


def measure_feature_reads(server: BenchServer, *, acts: int, reads: int) -> list[Figure]:
    """Read velocity for customers, operators, merchants and payees drawn with a fixed seed; return microseconds a read."""
    embedded, secrets_dir = server.embedded, server.folder / "secrets"
    set_up_database(
        maintenance_dsn=embedded.admin_dsn(), admin_dsn=embedded.admin_dsn(_DBNAME), dbname=_DBNAME, secrets_dir=secrets_dir
    )
    now = datetime.now(UTC)
    with psycopg.connect(embedded.admin_dsn(_DBNAME), autocommit=True) as admin:
        admin.execute(_QUERIES["insert_acts"], {"tenant_id": _TENANT, "acts": acts, "now": now})
        admin.execute(_QUERIES["vacuum"])
        with _connect_gate(server, secrets_dir) as gate:
            raw = _time_reads(gate, reads, now)
            started = time.perf_counter_ns()
            hours = fold_hours(gate, now)
            fold_ms = (time.perf_counter_ns() - started) // 1_000_000
            admin.execute(_QUERIES["vacuum"])
            folded = _time_reads(gate, reads, now)
    return [
        Figure("feature_acts", acts, "acts"),
        Figure("feature_read_raw_p50_us", percentile(raw, 50), "us"),
        Figure("feature_read_raw_p95_us", percentile(raw, 95), "us"),
        Figure("feature_fold_ms", fold_ms, f"ms for {hours} rows of hours"),
        Figure("feature_read_p50_us", percentile(folded, 50), "us"),
        Figure("feature_read_p95_us", percentile(folded, 95), "us"),
    ]


def _time_reads(gate: Connection[Any], reads: int, now: datetime) -> list[int]:
    rng = Random(_SEED)
    taken_us = []
    for number in range(reads):
        ids = ResolvedIds(
            customer_id=f"cus_{rng.randrange(5000)}",
            merchant_id=f"mrc_{rng.randrange(400)}",
            beneficiary_id=f"ben_{rng.randrange(9000)}",
        )
        operator_id = f"opr_{rng.randrange(400)}"
        started = time.perf_counter_ns()
        read_velocity(
            gate, ids, operator_id=operator_id, currency="EUR", proposal_id="prp_" + "0" * 32, now=now + timedelta(seconds=number)
        )
        taken_us.append((time.perf_counter_ns() - started) // 1000)
    return taken_us


@contextmanager
def _connect_gate(server: BenchServer, secrets_dir: Path) -> Iterator[Connection[Any]]:
    address: ServerAddress = server.embedded.address
    dsn = address.with_dbname(_DBNAME).dsn("gate", read_role_password(secrets_dir, "gate"))
    expires_at = datetime.now(UTC) + timedelta(hours=2)
    context = mint_context(read_context_key(secrets_dir), tenant_id=_TENANT, role="gate", expires_at=expires_at)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_QUERIES["set_session_context"], {"context": context})
        yield connection


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench features", description=__doc__)
    parser.add_argument("--acts", type=int, default=200_000)
    parser.add_argument("--reads", type=int, default=2_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with start_server() as server:
        figures = measure_feature_reads(server, acts=options.acts, reads=options.reads)
    print_report("features", figures, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
