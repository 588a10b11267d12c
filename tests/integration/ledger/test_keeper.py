"""The jobs process looks after the ledger by an injected clock: each duty when it is due, a fault told once, a breach stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection

from domain.transfer import ResultCode
from ledger.balances import find_hold
from ledger.checks import find_last_check
from ledger.port import HoldState
from serving.jobs.ledger import KeeperDeps, LedgerKeeper
from storage.pools import open_pool
from storage.unit_of_work import snapshot_of_work, unit_of_work
from tests.conftest import Cluster, ConnAs, Database, Tenant, clone_template
from tests.integration.ledger.house import ALICE, BANK, NOW, House, make_hold, make_request


@dataclass(slots=True)
class HandClock:
    """A clock that stands until it is moved."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def move(self, **by: float) -> None:
        self.moment += timedelta(**by)


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> Iterator[Database]:
    """A database without the transfers of other tests: an id made by chance may fall into a month and keep its part from it."""
    with clone_template(cluster) as own:
        yield own


@pytest.fixture
def house(tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> House:
    house = House(tenant, conn_as, admin_conn)
    house.open_accounts()
    house.bring_in(ALICE, 10_000)
    return house


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture
def keeper(house: House, clock: HandClock, database: Database) -> Iterator[LedgerKeeper]:
    pool = open_pool(database.dsn("jobs"), name="test-keeper", max_size=2)
    yield LedgerKeeper(
        KeeperDeps(
            tenant_ids=(house.tenant.tenant_id,),
            transact=lambda tenant_id: unit_of_work(pool, house.tenant.context("jobs")),
            snapshot=lambda tenant_id: snapshot_of_work(pool, house.tenant.context("jobs")),
            clock=clock,
            stopwatch_ns=lambda: 0,
        )
    )
    pool.close()


def tails(house: House) -> int:
    row = house.jobs.execute("SELECT COUNT(*) FROM ledger.tails").fetchone()
    assert row is not None
    return int(row[0])


def test_rolled_up_accounts_are_folded_in_each_second(house: House, keeper: LedgerKeeper, clock: HandClock) -> None:
    keeper.keep_up()
    assert tails(house) == 0
    house.must_post(make_request(credit=BANK))
    keeper.keep_up()
    assert tails(house) == 1
    clock.move(seconds=1)
    keeper.keep_up()
    assert (tails(house), keeper.faults) == (0, {})


def test_holds_expire_within_ten_seconds_of_their_time(house: House, keeper: LedgerKeeper, clock: HandClock) -> None:
    hold = make_hold(hold_expires_at=NOW + timedelta(seconds=5))
    house.must_post(hold)
    keeper.keep_up()
    clock.move(seconds=9)
    keeper.keep_up()
    found = find_hold(house.auditor, hold.transfer_id)
    assert found is not None
    assert found.state is HoldState.PENDING
    clock.move(seconds=1)
    keeper.keep_up()
    found = find_hold(house.auditor, hold.transfer_id)
    assert found is not None
    assert found.state is HoldState.EXPIRED


def test_a_clock_that_was_set_back_stops_no_duty(house: House, keeper: LedgerKeeper, clock: HandClock) -> None:
    keeper.keep_up()
    house.must_post(make_request(credit=BANK))
    clock.move(hours=-3)
    keeper.keep_up()
    assert tails(house) == 0


def test_parts_are_there_before_their_month(house: House, keeper: LedgerKeeper, clock: HandClock) -> None:
    clock.moment = datetime.fromisoformat("2015-05-20T00:00:00Z")
    keeper.keep_up()
    made = house.admin.execute("SELECT TO_REGCLASS('ledger.transfers_2015_07') IS NOT NULL").fetchone()
    assert (made, keeper.faults) == ((True,), {})


def test_recent_transfers_are_checked_each_minute_and_all_of_them_each_day(
    house: House, keeper: LedgerKeeper, clock: HandClock
) -> None:
    keeper.keep_checking()
    first = find_last_check(house.jobs)
    assert first is not None
    assert (first.checked_at, first.whole_at) == (NOW, NOW)
    clock.move(seconds=59)
    keeper.keep_checking()
    assert find_last_check(house.jobs) == first
    clock.move(seconds=1)
    keeper.keep_checking()
    second = find_last_check(house.jobs)
    assert second is not None
    assert (second.checked_at, second.whole_at) == (clock.now(), NOW)
    clock.move(days=1)
    keeper.keep_checking()
    third = find_last_check(house.jobs)
    assert third is not None
    assert (third.whole_at, keeper.faults) == (clock.now(), {})


def test_a_breach_is_stopped_by_the_next_check(house: House, keeper: LedgerKeeper, clock: HandClock) -> None:
    keeper.keep_checking()
    house.damage(
        "ledger.accounts",
        "UPDATE ledger.accounts SET credits_posted_minor = credits_posted_minor + 1 WHERE code = "
        "'customer:alice' AND tenant_id = %s",
    )
    clock.move(minutes=1)
    keeper.keep_checking()
    assert [one.code for one in house.post(make_request())] == [ResultCode.ACCOUNT_STOPPED]
    told = house.jobs.execute("SELECT COUNT(*) FROM core.events WHERE event_type = 'ledger.incident_opened'").fetchone()
    cases = house.jobs.execute("SELECT kind, subject, state FROM core.cases").fetchall()
    assert (told, cases) == ((1,), [("ledger_incident", "customer:alice/EUR", "open")])


def test_a_duty_that_fails_is_named_and_stops_no_other(house: House, clock: HandClock, keeper: LedgerKeeper) -> None:
    house.admin.execute("REVOKE EXECUTE ON FUNCTION ledger.ensure_partitions(TIMESTAMPTZ, INTEGER) FROM jobs")
    try:
        keeper.keep_up()
    finally:
        house.admin.execute("GRANT EXECUTE ON FUNCTION ledger.ensure_partitions(TIMESTAMPTZ, INTEGER) TO jobs")
    assert (list(keeper.faults.values()), tails(house)) == (["InsufficientPrivilege"], 0)
    clock.move(hours=1)
    keeper.keep_up()
    assert keeper.faults == {}
