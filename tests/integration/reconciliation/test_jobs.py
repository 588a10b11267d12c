"""What the jobs process does by itself: every minute what is open, at the first start the demo's batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from ledger.reconciliation.running import lock_account
from ledger.settlement.explaining import explain_payout
from serving.jobs.demo_settlement import load_demo_settlement
from serving.jobs.reconciliation import ReconciliationDesk, declare_reconciliation_tasks
from storage.jobs import make_job_app
from storage.pools import open_pool
from storage.unit_of_work import unit_of_work
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.ledger.scene import ACCOUNT, NOW
from tests.integration.reconciliation.world import HOUSE, BankWorld

Transact = Callable[[str], AbstractContextManager[Connection[Any]]]


class StoppedClock:
    """A time that a test sets."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def transact(database: Database, tenant: Tenant) -> Iterator[Transact]:
    pool = open_pool(database.dsn("jobs"), name="test-reconcile")

    @contextmanager
    def work(tenant_id: str) -> Iterator[Connection[Any]]:
        with unit_of_work(pool, Tenant(tenant_id, tenant.context_key).context("jobs")) as connection:
            yield connection

    yield work
    pool.close()


def test_every_minute_what_is_open_is_matched(bank: BankWorld, transact: Transact, tmp_path: Path) -> None:
    clock = StoppedClock(NOW + timedelta(hours=9))
    desk = ReconciliationDesk(transact, tmp_path, clock)
    assert desk.run_open(bank.tenant.tenant_id) == 0
    bank.bring(bank.line("-49.90"))
    assert desk.run_open(bank.tenant.tenant_id) == 1
    bank.refund()
    desk.run_open(bank.tenant.tenant_id)
    assert (bank.kinds(), bank.kinds("closed")) == ([], ["missing_in_ledger"])
    clock.moment = NOW + timedelta(days=4)
    desk.run_open(bank.tenant.tenant_id)
    assert bank.kinds() == ["missing_in_statement"]


def test_an_account_where_an_import_is_at_work_is_left_for_the_next_minute(
    bank: BankWorld, transact: Transact, tmp_path: Path, conn_as: ConnAs
) -> None:
    bank.bring(bank.line("-49.90"))
    bank.refund()
    desk = ReconciliationDesk(transact, tmp_path, StoppedClock(NOW))
    other = conn_as("jobs", bank.tenant)
    with other.transaction():
        lock_account(other, HOUSE)
        desk.run_open(bank.tenant.tenant_id)
        assert bank.kinds() == ["missing_in_ledger"]
    desk.run_open(bank.tenant.tenant_id)
    assert bank.kinds() == []


async def test_the_task_runs_as_a_job(bank: BankWorld, transact: Transact, tmp_path: Path, database: Database) -> None:
    bank.bring(bank.line("-49.90"))
    bank.refund()
    app = make_job_app(database.dsn("jobs"))
    desk = ReconciliationDesk(transact, tmp_path, StoppedClock(NOW))
    declare_reconciliation_tasks(app, desk, tenant_id=bank.tenant.tenant_id)
    queue = f"q-{bank.tenant.tenant_id}"
    async with app.open_async():
        await app.tasks["reconcile"].configure(queue=queue, queueing_lock=None).defer_async(timestamp=0)
        await app.run_worker_async(queues=[queue], wait=False, install_signal_handlers=False, listen_notify=False)
    assert bank.kinds() == []


def test_the_demos_batches_come_once(bank: BankWorld, transact: Transact, admin_conn: Connection[Any]) -> None:
    tenant_id = bank.tenant.tenant_id
    assert load_demo_settlement(transact, tenant_id=tenant_id, now=NOW) is None
    admin_conn.execute(
        "INSERT INTO core.ingest_runs (tenant_id, ingest_id, kind, file_sha256, state, started_at)"
        " VALUES (%s, 'ing_1', 'demo', %s, 'done', %s)",
        [tenant_id, "0" * 64, NOW],
    )
    for number, days in enumerate((27, 1)):
        admin_conn.execute(
            "INSERT INTO core.transactions (tenant_id, transaction_id, account_id, kind, status, amount_minor, currency,"
            " descriptor, occurred_at, settles_on) VALUES (%s, %s, %s, 'payout', 'posted', 900, 'EUR', 'PAYOUT', %s, %s)",
            [tenant_id, f"txn_{number}", ACCOUNT, NOW - timedelta(days=days), (NOW - timedelta(days=days - 2)).date()],
        )
    first = load_demo_settlement(transact, tenant_id=tenant_id, now=NOW)
    assert first is not None
    assert (first.new_batches, first.quarantined_lines, first.already_imported) == (2, 0, False)
    again = load_demo_settlement(transact, tenant_id=tenant_id, now=NOW + timedelta(days=3))
    assert again is not None
    assert again.already_imported
    (batch,) = explain_payout(bank.edge, "txn_0", NOW).batches
    assert (batch.state, batch.is_late) == ("settled", True)
    (delayed,) = explain_payout(bank.edge, "txn_1", NOW).batches
    assert delayed.state == "delayed"
