"""The job queue runs as role jobs; others may only queue for their own tenant."""

from __future__ import annotations

import pytest
from procrastinate import JobContext
from psycopg import errors

from storage.jobs import JobArgumentTooLong, defer_job, make_job_app, require_current_job_schema
from tests.conftest import ConnAs, Database, Tenant


async def test_a_queued_job_is_worked_on(database: Database, conn_as: ConnAs, tenant: Tenant) -> None:
    app, seen = make_job_app(database.dsn("jobs")), []

    @app.task(name="storage.probe", pass_context=True)
    async def probe(context: JobContext, tenant_id: str, document_id: str) -> None:
        seen.append((tenant_id, document_id))

    queue = f"q-{tenant.tenant_id}"
    for role in ("edge", "gate", "executor"):
        defer_job(
            conn_as(role, tenant), tenant_id=tenant.tenant_id, task_name="storage.probe", ids={"document_id": role}, queue=queue
        )
    async with app.open_async():
        await app.run_worker_async(queues=[queue], wait=False, install_signal_handlers=False, listen_notify=False)
    assert seen == [(tenant.tenant_id, role) for role in ("edge", "gate", "executor")]


def test_a_rolled_back_cause_queues_nothing(conn_as: ConnAs, tenant: Tenant) -> None:
    edge = conn_as("edge", tenant)
    with edge.transaction(force_rollback=True):
        defer_job(edge, tenant_id=tenant.tenant_id, task_name="storage.probe", ids={})
    assert edge.execute("SELECT COUNT(*) FROM jobs.procrastinate_jobs").fetchone() == (0,)


def test_no_job_for_another_tenant(conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant) -> None:
    edge = conn_as("edge", tenant)
    defer_job(conn_as("edge", other_tenant), tenant_id=other_tenant.tenant_id, task_name="storage.probe", ids={})
    assert edge.execute("SELECT COUNT(*) FROM jobs.procrastinate_jobs").fetchone() == (0,)
    with pytest.raises(errors.InsufficientPrivilege):
        defer_job(edge, tenant_id=other_tenant.tenant_id, task_name="storage.probe", ids={})
    with pytest.raises(errors.InsufficientPrivilege):
        defer_job(conn_as("edge"), tenant_id=tenant.tenant_id, task_name="storage.probe", ids={})
    for role in ("ai", "vault", "auditor"):
        with pytest.raises(errors.InsufficientPrivilege):
            defer_job(conn_as(role, tenant), tenant_id=tenant.tenant_id, task_name="storage.probe", ids={})


def test_arguments_are_ids_and_a_once_key_is_per_tenant(conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant) -> None:
    with pytest.raises(JobArgumentTooLong):
        defer_job(conn_as("edge", tenant), tenant_id=tenant.tenant_id, task_name="storage.probe", ids={"text": "x" * 129})
    for owner in (tenant, other_tenant):
        defer_job(conn_as("edge", owner), tenant_id=owner.tenant_id, task_name="storage.probe", ids={}, once_key="nightly")
    with pytest.raises(errors.UniqueViolation):
        defer_job(conn_as("edge", tenant), tenant_id=tenant.tenant_id, task_name="storage.probe", ids={}, once_key="nightly")


def test_the_tables_are_those_of_the_installed_package(conn_as: ConnAs) -> None:
    require_current_job_schema(conn_as("jobs"))
