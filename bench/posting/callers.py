"""Many callers at once, each waiting for its own answer: the batching writer of `gates/batching.py` under an event loop."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.peer.run import Run
from bench.posting.tenant import BenchTenant, BooksWrong
from bench.posting.workload import make_requests
from bench.report import percentile
from domain.transfer import ResultCode, TransferRequest, TransferResult
from gates.batching import BatchWriter, Outcome, resolve
from storage.pools import open_pool


@dataclass(slots=True)
class _Answers:
    waited_us: list[int] = field(default_factory=list)
    codes: list[ResultCode] = field(default_factory=list)
    took_s: float = 0.0
    own_cpu_s: float = 0.0


def run_callers(tenant: BenchTenant, callers: int, *, seconds: int, per_s_at_most: int) -> Run:
    """Let `callers` ask one after the other for `seconds`, or until there is nothing left to ask for.

    Raises: BooksWrong when an answer is another than accepted.
    """
    part = tenant.take_slice("random", clients=1, count=per_s_at_most * seconds)
    tenant.authorize(part)
    requests = list(make_requests(part, at=datetime.now(UTC)))
    gc.collect()
    gc.freeze()
    with tenant.server.metering() as meter, tenant.rolling_up():
        answers = asyncio.run(_ask_all(tenant, iter(requests), callers, seconds))
    gc.unfreeze()
    count = len(answers.codes)
    if set(answers.codes) != {ResultCode.ACCEPTED}:
        raise BooksWrong(f"{callers} callers: answers {sorted(set(answers.codes))}")
    tenant.check_reading(part, accepted=count)
    p50_ms, p99_ms = (percentile(answers.waited_us, share) / 1000 for share in (50, 99))
    return Run(count, count / answers.took_s, meter.cpu_us / count, answers.own_cpu_s * 1e6 / count, p50_ms, p99_ms)


async def _ask_all(tenant: BenchTenant, requests: Iterator[TransferRequest], callers: int, seconds: int) -> _Answers:
    loop = asyncio.get_running_loop()
    answers = _Answers()

    def deliver(outcomes: Sequence[Outcome]) -> None:
        loop.call_soon_threadsafe(resolve, outcomes)

    pool = open_pool(tenant.dsn("executor"), name="bench", max_size=1)
    try:
        writer = BatchWriter(pool, lambda: tenant.mint_context("executor"), now=lambda: datetime.now(UTC), deliver=deliver)
        writer.start()
        started, began_own_s = time.perf_counter(), time.process_time()
        await asyncio.gather(*(_keep_asking(writer, requests, started + seconds, answers) for _ in range(callers)))
        answers.took_s = time.perf_counter() - started
        answers.own_cpu_s = time.process_time() - began_own_s
        await asyncio.to_thread(writer.stop)
    finally:
        pool.close()
    return answers


async def _keep_asking(writer: BatchWriter, requests: Iterator[TransferRequest], until_s: float, answers: _Answers) -> None:
    loop = asyncio.get_running_loop()
    for request in requests:
        asked_at = time.perf_counter()
        if asked_at >= until_s:
            return
        waiting: asyncio.Future[TransferResult] = loop.create_future()
        # The writer's answers are delivered in this very thread, so the future cannot be done before it has its callback.
        writer.submit([request]).add_done_callback(lambda done, waiting=waiting: _pass_on(done, waiting))  # type: ignore[misc]
        result = await waiting
        answers.waited_us.append(int((time.perf_counter() - asked_at) * 1_000_000))
        answers.codes.append(result.code)


def _pass_on(done: Future[list[TransferResult]], waiting: asyncio.Future[TransferResult]) -> None:
    if error := done.exception():
        waiting.set_exception(error)
    else:
        waiting.set_result(done.result()[0])
