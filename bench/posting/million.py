"""How long does the ledger's own check take over a million transfers?"""

from __future__ import annotations

import time

from bench.peer.server import BenchServer
from bench.posting.bulk import run_bulk
from bench.posting.tenant import BenchTenant
from bench.report import Figure
from domain.transfer import MAX_BATCH

_TRANSFERS = 1_000_000
_CALLS = 15


def check_million(server: BenchServer) -> Figure:
    """Post a million transfers in a database of their own, then check them all, online, as role auditor. Raises: BooksWrong."""
    tenant = BenchTenant(server, dbname="million")
    tenant.set_up()
    while (left := _TRANSFERS - tenant.find_size()[1]) > 0:
        run_bulk(tenant, "random", calls=min(_CALLS, -(-left // MAX_BATCH)))
    started = time.perf_counter()
    tenant.check_books()
    return Figure("ledger_check_s_1m", round(time.perf_counter() - started, 1), "s")
