"""One transfer a call and transaction, by pgbench's clients: the door `ledger.post_one`."""

from __future__ import annotations

from pathlib import Path

from bench.peer.pgbench import CLIENTS, run_pgbench
from bench.peer.run import Run
from bench.posting.tenant import BenchTenant
from bench.posting.workload import ACCOUNT_PREFIX, ACCOUNTS, HOT_ACCOUNT, Mode

_SCRIPTS = Path(__file__).parents[1] / "sql"


def run_single(tenant: BenchTenant, mode: Mode, *, seconds: int, per_s_at_most: int) -> Run:
    """Post at random accounts, or with the hot account on one side.

    More than `per_s_at_most` would find no authorization. Raises: BooksWrong when a call was not accepted.
    """
    part = tenant.take_slice(mode, clients=CLIENTS, count=per_s_at_most * seconds // CLIENTS)
    tenant.authorize(part)
    variables: dict[str, int | str] = {"i": 0, "base_ms": part.base_ms, "seed": part.seed, "accounts": ACCOUNTS}
    variables |= {"prefix": ACCOUNT_PREFIX, "hot": HOT_ACCOUNT}
    with tenant.rolling_up():
        run = run_pgbench(
            tenant.server,
            tenant.dbname,
            seconds=seconds,
            script=_SCRIPTS / f"single_{mode}.pgbench",
            environment=tenant.executor_environment(),
            variables=variables,
        )
    tenant.check_reading(part, accepted=run.count)
    return run
