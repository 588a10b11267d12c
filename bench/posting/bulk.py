"""8,000 transfers a call from one connection of Python: the door `ledger.post_many`."""

from __future__ import annotations

import gc
import time
from datetime import UTC, datetime

from bench.peer.run import Run
from bench.posting.tenant import BenchTenant, BooksWrong
from bench.posting.workload import REJECT_EVERY, Mode, make_requests
from domain.transfer import MAX_BATCH, ResultCode
from gates.execution import execute_transfers


def run_bulk(tenant: BenchTenant, mode: Mode, *, calls: int) -> Run:
    """Post full batches; the rate counts requests, refused ones too. Raises: BooksWrong for an answer that was not expected."""
    part = tenant.take_slice(mode, clients=1, count=MAX_BATCH * calls)
    tenant.authorize(part)
    requests = list(make_requests(part, at=datetime.now(UTC)))
    codes: list[ResultCode] = []
    took_s = own_s = 0.0
    # What was made before the reading is not the collector's to walk through in it.
    gc.collect()
    gc.freeze()
    with tenant.server.metering() as meter, tenant.rolling_up(), tenant.connect("executor") as executor:
        for first in range(0, len(requests), MAX_BATCH):
            batch = requests[first : first + MAX_BATCH]
            started, began_own_s = time.perf_counter(), time.process_time()
            answers = execute_transfers(executor, batch, now=datetime.now(UTC))
            took_s += time.perf_counter() - started
            own_s += time.process_time() - began_own_s
            codes += [answer.code for answer in answers]
    gc.unfreeze()
    refused = len(requests) // REJECT_EVERY if mode == "reject" else 0
    accepted = len(requests) - refused
    if (codes.count(ResultCode.ACCEPTED), codes.count(ResultCode.LIMIT_EXCEEDED)) != (accepted, refused):
        raise BooksWrong(f"bulk {mode}: {accepted} to be accepted, {refused} refused; answers {sorted(set(codes))}")
    tenant.check_reading(part, accepted=accepted)
    return Run(len(requests), len(requests) / took_s, meter.cpu_us / len(requests), own_s * 1e6 / len(requests))
