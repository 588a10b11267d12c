"""Rolled-up accounts are folded in, holds expire, balances are rebuilt; all of it beside posting and any number of times."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread
from typing import Any

import psycopg
import pytest
from psycopg import Connection, IsolationLevel

from domain.errors import InvalidInput
from domain.transfer import ResultCode, TransferKind
from ledger.balances import find_balance, find_hold, list_accounts, list_drift, list_trial_balance
from ledger.port import HoldState
from ledger.posting import post_transfers
from ledger.upkeep import Rebuilding, expire_holds, rebuild_balances, roll_up
from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.house import ALICE, BANK, BOB, NOW, PURSE, House, make_answer, make_hold, make_request


@pytest.fixture
def house(tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> House:
    house = House(tenant, conn_as, admin_conn)
    house.open_accounts()
    house.bring_in(ALICE, 100_000)
    return house


def tails(house: House) -> int:
    row = house.jobs.execute("SELECT COUNT(*) FROM ledger.tails").fetchone()
    assert row is not None
    return int(row[0])


def test_folding_in_leaves_nothing_and_changes_nothing(house: House) -> None:
    house.must_post(make_request(credit=BANK, amount_minor=7))
    house.must_post(make_hold(debit=BANK, amount_minor=3))
    assert (roll_up(house.jobs), tails(house), roll_up(house.jobs)) == (3, 0, 0)
    assert list_drift(house.auditor) == []


def test_what_a_posting_took_back_folds_in_as_nothing(house: House) -> None:
    roll_up(house.jobs)
    refused = make_request(debit=PURSE, credit=BANK, amount_minor=1)
    house.allow(refused)
    assert post_transfers(house.executor, [refused], now=NOW)[0].code is ResultCode.LIMIT_EXCEEDED
    before = find_balance(house.auditor, BANK, "EUR")
    roll_up(house.jobs)
    assert (tails(house), find_balance(house.auditor, BANK, "EUR")) == (0, before)


def test_every_snapshot_is_level_while_postings_are_folded_in(house: House, conn_as: ConnAs) -> None:
    batches = [[make_request(debit=BANK, credit=BOB, amount_minor=1) for _ in range(20)] for _ in range(30)]
    for batch in batches:
        house.allow(*batch)
    codes: set[ResultCode] = set()

    def post() -> None:
        for batch in batches:
            codes.update(one.code for one in post_transfers(house.executor, batch, now=NOW))

    def fold(connection: Connection[Any], poster: Thread) -> None:
        while poster.is_alive():
            roll_up(connection)

    poster = Thread(target=post)
    folders = [Thread(target=fold, args=(conn_as("jobs", house.tenant), poster)) for _ in range(2)]
    poster.start()
    for folder in folders:
        folder.start()
    seen = 0
    while poster.is_alive():
        (line,) = list_trial_balance(house.auditor)
        assert line.debits_posted_minor == line.credits_posted_minor
        seen += 1
    for thread in (poster, *folders):
        thread.join()
    roll_up(house.jobs)
    balance = find_balance(house.auditor, BANK, "EUR")
    assert balance is not None
    assert (codes, balance.debits_posted_minor, balance.version, tails(house), seen > 0) == (
        {ResultCode.ACCEPTED},
        100_600,
        601,
        0,
        True,
    )


def test_holds_expire_when_their_time_has_passed(house: House) -> None:
    first = make_hold(amount_minor=10, hold_expires_at=NOW + timedelta(minutes=1))
    second = make_hold(amount_minor=20, hold_expires_at=NOW + timedelta(minutes=2), credit=BANK)
    endless = make_hold(amount_minor=40)
    house.must_post(first, second, endless)
    assert expire_holds(house.jobs, now=NOW + timedelta(seconds=59)) == 0
    assert expire_holds(house.jobs, now=NOW + timedelta(minutes=5), limit=1) == 1
    states = [find_hold(house.auditor, hold.transfer_id) for hold in (first, second, endless)]
    assert [hold.state for hold in states if hold] == [HoldState.EXPIRED, HoldState.PENDING, HoldState.PENDING]
    assert expire_holds(house.jobs, now=NOW + timedelta(minutes=5)) == 1
    assert expire_holds(house.jobs, now=NOW + timedelta(minutes=5)) == 0
    balance = find_balance(house.auditor, ALICE, "EUR")
    assert balance is not None
    assert (balance.debits_pending_minor, balance.balance_minor) == (40, 100_000)
    row = house.jobs.execute(
        "SELECT kind, action_kind, decision_id, amount_minor, occurred_at FROM ledger.transfer_lines WHERE target_id = %s",
        [first.transfer_id],
    ).fetchone()
    assert row == ("expire", "expiry", None, 10, NOW + timedelta(minutes=1))


def test_the_expiry_of_a_hold_has_one_id(house: House) -> None:
    hold = make_hold(amount_minor=10, hold_expires_at=NOW + timedelta(minutes=1))
    house.must_post(hold)
    derive = "SELECT ledger.derive_expiry_id(%s, %s)"
    parameters = [hold.transfer_id, hold.hold_expires_at]
    expected = {house.admin.execute(derive, parameters).fetchone() for _ in range(3)}
    expire_holds(house.jobs, now=NOW + timedelta(minutes=5))
    stored = house.jobs.execute("SELECT transfer_id FROM ledger.transfer_lines WHERE kind = 'expire'").fetchone()
    assert expected == {stored}
    assert stored is not None
    assert (stored[0].version, stored[0].int >> 80) == (7, int((NOW + timedelta(minutes=1)).timestamp() * 1000))


def test_a_hold_that_was_resolved_does_not_expire(house: House) -> None:
    hold = make_hold(amount_minor=10, hold_expires_at=NOW + timedelta(minutes=1))
    house.must_post(hold)
    house.must_post(make_answer(hold, TransferKind.POST))
    assert expire_holds(house.jobs, now=NOW + timedelta(minutes=5)) == 0


def test_holds_expire_on_closed_and_stopped_accounts(house: House) -> None:
    hold = make_hold(amount_minor=10, hold_expires_at=NOW + timedelta(minutes=1))
    house.must_post(hold)
    house.damage("ledger.accounts", "UPDATE ledger.accounts SET closed = TRUE, stopped = TRUE WHERE tenant_id = %s")
    assert expire_holds(house.jobs, now=NOW + timedelta(minutes=5)) == 1


def test_two_workers_expire_a_hold_once(house: House, conn_as: ConnAs) -> None:
    holds = [make_hold(amount_minor=1, hold_expires_at=NOW + timedelta(minutes=1)) for _ in range(50)]
    house.must_post(*holds)
    counts: list[int] = []

    def work(connection: Connection[Any]) -> None:
        counts.append(expire_holds(connection, now=NOW + timedelta(minutes=5)))

    workers = [Thread(target=work, args=(conn_as("jobs", house.tenant),)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (sum(counts), len(counts)) == (50, 4)
    assert list_drift(house.auditor) == []


@pytest.mark.parametrize("limit", [0, -1, 8001])
def test_a_limit_is_checked(house: House, limit: int) -> None:
    with pytest.raises(InvalidInput):
        expire_holds(house.jobs, now=NOW, limit=limit)


def test_only_the_jobs_role_does_upkeep(house: House) -> None:
    for connection in (house.executor, house.gate, house.importer, house.auditor):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            roll_up(connection)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            expire_holds(connection, now=NOW)
    for connection in (house.executor, house.gate, house.jobs, house.auditor):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT ledger.rebuild_balances(TRUE, NOW())")


@pytest.fixture
def lived_in(house: House) -> House:
    """Every kind of transfer, with some rolled-up entries folded in and some waiting."""
    hold, void = make_hold(amount_minor=300), make_hold(amount_minor=5)
    lapse = make_hold(amount_minor=6, hold_expires_at=NOW + timedelta(minutes=1), credit=BANK)
    moved = make_request(credit=PURSE, amount_minor=500)
    house.must_post(hold, void, lapse, moved, make_hold(amount_minor=70))
    roll_up(house.jobs)
    house.must_post(
        make_answer(hold, TransferKind.POST, amount_minor=100),
        make_answer(void, TransferKind.VOID),
        make_answer(moved, TransferKind.REVERSE, amount_minor=200),
        make_request(credit=BANK, amount_minor=11),
    )
    assert expire_holds(house.jobs, now=NOW + timedelta(minutes=5)) == 1
    return house


def rebuild(house: House, *, apply: bool) -> Rebuilding:
    house.importer.isolation_level = None if apply else IsolationLevel.REPEATABLE_READ
    with house.importer.transaction():
        return rebuild_balances(house.importer, apply=apply, now=NOW)


def test_balances_rebuilt_from_entries_have_the_same_hash(lived_in: House) -> None:
    before = list_accounts(lived_in.auditor)
    looked = rebuild(lived_in, apply=False)
    applied = rebuild(lived_in, apply=True)
    assert looked.hash_before == looked.hash_rebuilt == applied.hash_before == applied.hash_rebuilt
    assert (looked.accounts, looked.differing, looked.applied, applied.applied) == (4, 0, False, True)
    assert (list_accounts(lived_in.auditor), tails(lived_in), list_drift(lived_in.auditor)) == (before, 0, [])


def test_a_rebuilding_mends_what_was_damaged_only_when_it_is_applied(lived_in: House) -> None:
    sound = list_accounts(lived_in.auditor)
    lived_in.damage(
        "ledger.accounts",
        "UPDATE ledger.accounts SET credits_posted_minor = credits_posted_minor + 9, version = version + 1"
        " WHERE code IN ('customer:bob', 'house:bank:main') AND tenant_id = %s",
    )
    damaged = list_accounts(lived_in.auditor)
    looked = rebuild(lived_in, apply=False)
    assert (looked.differing, looked.hash_before != looked.hash_rebuilt) == (2, True)
    assert list_accounts(lived_in.auditor) == damaged
    assert rebuild(lived_in, apply=True).hash_rebuilt == looked.hash_rebuilt
    assert list_accounts(lived_in.auditor) == sound
    lived_in.must_post(make_request(), make_request(debit=BANK, credit=BOB))
    assert list_drift(lived_in.auditor) == []
    told = lived_in.jobs.execute(
        "SELECT data ->> 'differing' FROM core.events WHERE event_type = 'ledger.balances_rebuilt'"
    ).fetchall()
    assert told == [("2",)]
