"""pgledger, a public SQL ledger: one call a transfer at random accounts, the same with one hot account, and its call for many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bench.peer.pgbench import run_pgbench
from bench.peer.run import Run
from bench.peer.server import BenchServer

Mode = Literal["random", "hot", "batch"]
MODES: tuple[Mode, ...] = get_args(Mode)

_DATABASE = "peer_pgledger"
_BATCH = 100
_ULID_FILES = ("ulid-to-uuid.sql", "uuid-to-ulid.sql")
_SCRIPTS = Path(__file__).parents[1] / "sql"
_BOOKS = (
    "SELECT (SELECT COUNT(*) FROM pgledger_entries) = 2 * (SELECT COUNT(*) FROM pgledger_transfers)"
    " AND (SELECT SUM(balance) FROM pgledger_accounts) = 0 AND NOT EXISTS ("
    " SELECT FROM pgledger_accounts a LEFT JOIN (SELECT account_id, SUM(amount) s, COUNT(*) n FROM pgledger_entries GROUP BY 1) e"
    " ON e.account_id = a.id WHERE a.balance <> COALESCE(e.s, 0) OR a.version <> COALESCE(e.n, 0))"
)


@dataclass(frozen=True, slots=True)
class Pgledger:
    """Hold where its SQL is. `accounts` is how many there are to pick from."""

    server: BenchServer
    sql_file: Path
    accounts: int

    def set_up(self) -> None:
        """Install it, with its ULID files from beside it, and open the accounts. Raises: RuntimeError."""
        helpers = self.sql_file.parent / "vendor" / "scoville-pgsql-ulid"
        files = [*(helpers / name for name in _ULID_FILES), self.sql_file]
        missing = [str(file) for file in files if not file.is_file()]
        if missing:
            raise RuntimeError(f"pgledger: no file {', '.join(missing)}")
        self.server.recreate(_DATABASE)
        self.server.run_sql("", _DATABASE, files=files)
        # Made by its own call, then numbered anew before there is a transfer: pgbench can compute a random id, not pick one.
        self.server.run_sql(
            f"SELECT COUNT(*) FROM generate_series(1, {self.accounts}) g, LATERAL pgledger_create_account('acct_' || g, 'USD')",
            _DATABASE,
        )
        self.server.run_sql("UPDATE pgledger_accounts SET id = 'pgla_' || lpad(substr(name, 6), 26, '0')", _DATABASE)
        self.server.run_sql("VACUUM ANALYZE pgledger_accounts", _DATABASE)

    def run(self, mode: Mode, *, seconds: int) -> Run:
        """Run one mode; counts and rates are of transfers."""
        script = _SCRIPTS / ("pgledger_batch.pgbench" if mode == "batch" else "pgledger_single.pgbench")
        # A hot account is the first of a range of one.
        variables = {"accounts": self.accounts, "range": 1 if mode == "hot" else self.accounts, "batch": _BATCH}
        got = run_pgbench(self.server, _DATABASE, seconds=seconds, script=script, variables=variables)
        each = _BATCH if mode == "batch" else 1
        return Run(got.count * each, got.per_s * each, got.cpu_us / each, got.client_cpu_us / each)

    def check_books(self) -> None:
        """Compare balances and entries. Raises: RuntimeError when its books are wrong, so that a broken set-up cannot score."""
        if self.server.run_sql(_BOOKS, _DATABASE) != "t":
            raise RuntimeError("pgledger: its balances are not the sums of its entries")
