"""The tasks of the queue. Arguments are ids only: contents stay in their tables, behind row-level security."""

from __future__ import annotations

import structlog
from procrastinate import App
from starlette.concurrency import run_in_threadpool

from serving.jobs.knowledge import KnowledgeDeps, fill_vectors

_LOG = structlog.get_logger("jobs.tasks")


def declare_tasks(job_app: App, knowledge: KnowledgeDeps, *, tenant_id: str) -> None:
    """Declare every task on this app."""

    @job_app.periodic(cron="* * * * * */10")
    @job_app.task(name="fill_vectors", queueing_lock="fill_vectors", pass_context=False)
    async def fill_missing_vectors(timestamp: int) -> None:
        filled = await run_in_threadpool(fill_vectors, knowledge, tenant_id=tenant_id)
        if filled:
            _LOG.info("vectors_filled", chunks=filled, scheduled_for=timestamp)
