"""Balances with holds, at a time, by the page; each read shows one tenant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from psycopg import Connection

from domain.transfer import Balancing, TransferKind
from ledger.balances import (
    find_balance,
    find_balance_at,
    find_hold,
    find_last_entry,
    find_transfer,
    list_accounts,
    list_drift,
    list_entries,
    list_entries_before,
    list_open_holds,
    list_trial_balance,
)
from ledger.port import AccountBalance, HoldState, Side
from ledger.setup import define_account
from ledger.upkeep import roll_up
from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.house import ALICE, BANK, BOB, NOW, PURSE, House, make_answer, make_hold, make_request


@pytest.fixture
def house(tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> House:
    house = House(tenant, conn_as, admin_conn)
    house.open_accounts()
    house.bring_in(ALICE, 1_000)
    return house


def test_a_balance_comes_with_what_is_held(house: House) -> None:
    house.must_post(make_hold(amount_minor=300), make_request(amount_minor=50))
    assert find_balance(house.auditor, ALICE, "EUR") == AccountBalance(ALICE, "EUR", 950, 50, 1_000, 300, 0, 3)
    assert find_balance(house.auditor, BOB, "EUR") == AccountBalance(BOB, "EUR", 50, 0, 50, 0, 300, 2)
    assert find_balance(house.auditor, "customer:nobody", "EUR") is None


def test_a_rolled_up_balance_is_the_same_before_and_after_it_is_folded_in(house: House) -> None:
    house.must_post(make_request(credit=BANK, amount_minor=30), make_hold(credit=BANK, amount_minor=7))
    before = find_balance(house.auditor, BANK, "EUR")
    assert before == AccountBalance(BANK, "EUR", -970, 1_000, 30, 0, 7, 3)
    assert roll_up(house.jobs) == 3
    assert find_balance(house.auditor, BANK, "EUR") == before


@pytest.mark.parametrize("folded", [False, True])
def test_a_balance_at_a_time_counts_what_was_recorded_until_then(house: House, folded: bool) -> None:
    hold = make_hold(amount_minor=300)
    house.must_post(hold, now=NOW + timedelta(seconds=10))
    house.must_post(make_answer(hold, TransferKind.POST, amount_minor=100), now=NOW + timedelta(seconds=20))
    house.must_post(make_request(credit=BANK, amount_minor=5), now=NOW + timedelta(seconds=30))
    if folded:
        roll_up(house.jobs)

    def at(code: str, seconds: int) -> tuple[int, int, int, int]:
        found = find_balance_at(house.auditor, code, "EUR", NOW + timedelta(seconds=seconds))
        assert found is not None
        return found.balance_minor, found.debits_pending_minor, found.credits_pending_minor, found.version

    assert [at(ALICE, seconds) for seconds in (-1, 0, 10, 20, 30)] == [
        (0, 0, 0, 0), (1_000, 0, 0, 1), (1_000, 300, 0, 2), (900, 0, 0, 3), (895, 0, 0, 4),
    ]  # fmt: skip
    assert [at(BOB, seconds) for seconds in (10, 19, 20)] == [(0, 0, 300, 1), (0, 0, 300, 1), (100, 0, 0, 2)]
    assert [at(BANK, seconds) for seconds in (0, 29, 30)] == [(-1_000, 0, 0, 1), (-1_000, 0, 0, 1), (-995, 0, 0, 2)]
    assert find_balance_at(house.auditor, "customer:nobody", "EUR", NOW) is None


def test_a_statement_runs_on_by_its_cursor(house: House) -> None:
    moved = [make_request(amount_minor=amount) for amount in (1, 2, 3)]
    back = make_request(debit=BOB, credit=ALICE, amount_minor=4)
    house.must_post(*moved, back)
    first = list_entries(house.auditor, ALICE, "EUR", limit=3)
    rest = list_entries(house.auditor, ALICE, "EUR", after=first[-1].version, limit=3)
    lines = first + rest
    assert [line.version for line in lines] == [1, 2, 3, 4, 5]
    assert [line.balance_after_minor for line in lines] == [1_000, 999, 997, 994, 998]
    assert [line.side for line in lines] == [Side.CREDIT, Side.DEBIT, Side.DEBIT, Side.DEBIT, Side.CREDIT]
    assert [line.other_account for line in lines] == [BANK, BOB, BOB, BOB, BOB]
    assert [line.transfer_id for line in lines[1:]] == [one.transfer_id for one in (*moved, back)]
    newest = list_entries_before(house.auditor, ALICE, "EUR", limit=2)
    older = list_entries_before(house.auditor, ALICE, "EUR", before=newest[-1].version, limit=10)
    assert newest + older == lines[::-1]
    assert find_last_entry(house.auditor, ALICE, "EUR") == lines[-1]
    assert find_last_entry(house.auditor, PURSE, "EUR") is None


def test_a_rolled_up_account_has_its_entries_in_order_without_a_running_balance(house: House) -> None:
    moved = [make_request(credit=BANK, amount_minor=amount) for amount in (1, 2, 3)]
    house.must_post(*moved)
    lines = list_entries(house.auditor, BANK, "EUR")
    assert [line.amount_minor for line in lines] == [1_000, 1, 2, 3]
    assert {line.balance_after_minor for line in lines} == {None}
    assert list_entries(house.auditor, BANK, "EUR", after=lines[1].version) == lines[2:]


def test_a_transfer_is_read_as_it_was_written(house: House) -> None:
    asked = make_request(debit=ALICE, credit=PURSE, amount_minor=40, balancing=Balancing.CREDIT)
    house.must_post(asked)
    found = find_transfer(house.auditor, asked.transfer_id)
    assert found is not None
    assert (found.debit, found.credit, found.amount_minor, found.code) == (ALICE, PURSE, 40, asked.code)
    assert (found.linked, found.balancing, found.debit_version, found.credit_balance_after_minor) == (
        False,
        Balancing.CREDIT,
        2,
        40,
    )
    assert find_transfer(house.auditor, make_request().transfer_id) is None


def test_holds_are_listed_while_they_are_open(house: House) -> None:
    endless = make_hold(amount_minor=1)
    later = make_hold(amount_minor=2, hold_expires_at=NOW + timedelta(days=2))
    sooner = make_hold(amount_minor=3, hold_expires_at=NOW + timedelta(days=1), credit=PURSE)
    house.must_post(endless, later, sooner)
    assert [hold.held_minor for hold in list_open_holds(house.auditor)] == [3, 2, 1]
    assert [hold.held_minor for hold in list_open_holds(house.auditor, code=BOB)] == [2, 1]
    void = make_answer(later, TransferKind.VOID)
    house.must_post(void)
    assert [hold.held_minor for hold in list_open_holds(house.auditor)] == [3, 1]
    found = find_hold(house.auditor, later.transfer_id)
    assert found is not None
    assert (found.state, found.resolved_by, found.posted_minor) == (HoldState.VOIDED, void.transfer_id, 0)


def test_the_trial_balance_is_level_in_each_currency(house: House) -> None:
    house.open_accounts("USD")
    house.must_post(make_request(), make_request(currency="USD", amount_minor=9))
    lines = {line.currency: (line.debits_posted_minor, line.credits_posted_minor) for line in list_trial_balance(house.auditor)}
    assert lines == {"EUR": (1_100, 1_100), "USD": (9, 9)}
    assert list_drift(house.auditor) == []


def test_accounts_are_listed_by_the_page(house: House) -> None:
    define_account(house.importer, ALICE, "USD", now=NOW)
    everyone = list_accounts(house.auditor)
    assert [(one.code, one.currency) for one in everyone] == [
        (ALICE, "EUR"), (ALICE, "USD"), (BOB, "EUR"), (PURSE, "EUR"), (BANK, "EUR"),
    ]  # fmt: skip
    assert list_accounts(house.auditor, after=(ALICE, "EUR"), limit=2) == everyone[1:3]
    assert list_accounts(house.auditor, prefix="house:") == everyone[4:]
    assert [one.rolled_up for one in everyone] == [False, False, False, False, True]


def test_nobody_reads_another_tenants_ledger(house: House, other_tenant: Tenant, conn_as: ConnAs) -> None:
    house.must_post(make_hold())
    stranger = conn_as("edge", other_tenant)
    assert find_balance(stranger, ALICE, "EUR") is None
    assert find_balance_at(stranger, ALICE, "EUR", NOW) is None
    assert list_entries(stranger, ALICE, "EUR") == []
    assert list_entries_before(stranger, ALICE, "EUR") == []
    assert list_open_holds(stranger) == []
    assert list_accounts(stranger) == []
    assert list_trial_balance(stranger) == []
    assert list_drift(stranger) == []
