"""Accounts are opened, closed, stopped and resumed by role importer, with an event each; opening balances come in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from domain.errors import InvalidInput
from domain.transfer import ResultCode, TransferCode, TransferKind
from ledger.port import AccountExists, AccountInUse, AccountNotFound
from ledger.setup import (
    AccountClass,
    ChartLine,
    InvalidAccount,
    NotImportable,
    close_account,
    define_account,
    import_transfers,
    list_chart,
    resume_account,
    set_chart_line,
    stop_account,
)
from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.house import ALICE, BANK, BOB, NOW, PURSE, House, make_answer, make_hold, make_request


@pytest.fixture
def house(tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> House:
    house = House(tenant, conn_as, admin_conn)
    house.open_accounts()
    return house


def events_of(house: House, subject: str) -> list[str]:
    rows = house.jobs.execute(
        "SELECT event_type FROM core.events INNER JOIN core.events_unsequenced USING (tenant_id, event_id) WHERE subject = %s"
        " ORDER BY ordinal",
        [subject],
    )
    return [row[0] for row in rows]


def test_an_account_is_opened_once_with_its_event(house: House) -> None:
    assert define_account(house.importer, "customer:carla", "EUR", now=NOW)
    assert not define_account(house.importer, "customer:carla", "EUR", now=NOW)
    assert events_of(house, "customer:carla/EUR") == ["ledger.account_opened"]


@pytest.mark.parametrize("flag", ["debits_must_not_exceed_credits", "credits_must_not_exceed_debits", "rolled_up"])
def test_other_flags_than_before_are_refused(house: House, flag: str) -> None:
    with pytest.raises(AccountExists, match="customer:alice/EUR"):
        define_account(house.importer, ALICE, "EUR", now=NOW, **{flag: True})


@pytest.mark.parametrize(
    ("code", "currency", "flags"),
    [
        ("bank:main", "EUR", {}),
        ("customer:a|b", "EUR", {}),
        ("customer:" + "x" * 200, "EUR", {}),
        ("customer:x", "eur", {}),
        ("house:x", "EUR", {"rolled_up": True, "debits_must_not_exceed_credits": True}),
    ],
)
def test_what_can_be_no_account_is_refused(house: House, code: str, currency: str, flags: dict[str, bool]) -> None:
    with pytest.raises(InvalidAccount):
        define_account(house.importer, code, currency, now=NOW, **flags)


def test_a_closed_account_takes_nothing_more(house: House) -> None:
    house.bring_in(ALICE, 500)
    assert close_account(house.importer, BOB, "EUR", now=NOW)
    assert not close_account(house.importer, BOB, "EUR", now=NOW)
    assert [result.code for result in house.post(make_request())] == [ResultCode.ACCOUNT_CLOSED]
    assert events_of(house, f"{BOB}/EUR") == ["ledger.account_opened", "ledger.account_closed"]


@pytest.mark.parametrize("account", [ALICE, BANK])
def test_closing_waits_for_open_holds(house: House, account: str) -> None:
    house.bring_in(ALICE, 500)
    hold = make_hold(credit=BANK)
    house.must_post(hold)
    with pytest.raises(AccountInUse):
        close_account(house.importer, account, "EUR", now=NOW)
    house.must_post(make_answer(hold, TransferKind.VOID))
    assert close_account(house.importer, account, "EUR", now=NOW)


def test_a_stopped_account_takes_nothing_until_it_is_resumed(house: House) -> None:
    house.bring_in(ALICE, 500)
    assert stop_account(house.jobs, ALICE, "EUR", reason="balance_differs", now=NOW)
    assert not stop_account(house.jobs, ALICE, "EUR", reason="balance_differs", now=NOW)
    assert [result.code for result in house.post(make_request())] == [ResultCode.ACCOUNT_STOPPED]
    assert resume_account(house.importer, ALICE, "EUR", reason="explained", now=NOW)
    house.must_post(make_request())
    assert events_of(house, f"{ALICE}/EUR") == ["ledger.account_opened", "ledger.account_stopped", "ledger.account_resumed"]


def test_an_account_that_is_not_there(house: House, other_tenant: Tenant, conn_as: ConnAs) -> None:
    with pytest.raises(AccountNotFound):
        close_account(house.importer, "customer:nobody", "EUR", now=NOW)
    with pytest.raises(AccountNotFound):
        stop_account(house.jobs, ALICE, "USD", reason="x", now=NOW)
    with pytest.raises(AccountNotFound):
        close_account(conn_as("importer", other_tenant), ALICE, "EUR", now=NOW)


def test_a_reason_is_a_word(house: House) -> None:
    with pytest.raises(InvalidInput, match="reason"):
        stop_account(house.jobs, ALICE, "EUR", reason="It's wrong; see Bob <bob@example.test>", now=NOW)


def test_only_the_importer_sets_accounts_up(house: House) -> None:
    for connection in (house.jobs, house.executor, house.gate, house.auditor):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            define_account(connection, "customer:x", "EUR", now=NOW)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            close_account(connection, ALICE, "EUR", now=NOW)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            resume_account(connection, ALICE, "EUR", reason="x", now=NOW)
    for connection in (house.executor, house.gate, house.auditor):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stop_account(connection, ALICE, "EUR", reason="x", now=NOW)


def test_the_tenants_chart_comes_before_the_default(house: House, other_tenant: Tenant, conn_as: ConnAs) -> None:
    line = ChartLine("house:fees:", "Fees, never negative", AccountClass.INCOME, credits_must_not_exceed_debits=True)
    set_chart_line(house.importer, line)
    chart = {entry.prefix: entry for entry in list_chart(house.importer)}
    assert chart["house:fees:"] == line
    assert not chart["house:bank:"].is_own
    assert not {entry.prefix: entry for entry in list_chart(conn_as("importer", other_tenant))}["house:fees:"].is_own
    with pytest.raises(InvalidAccount):
        set_chart_line(house.importer, replace(line, rolled_up=True))
    with pytest.raises(InvalidAccount):
        set_chart_line(house.importer, replace(line, prefix="fees:"))


def test_an_opening_balance_keeps_its_own_time(house: House) -> None:
    earlier = NOW.replace(year=2024)
    request = make_request(debit=BANK, credit=PURSE, amount_minor=12_345, code=TransferCode.OPENING_BALANCE, occurred_at=earlier)
    (first,) = import_transfers(house.importer, [request], now=NOW)
    (again,) = import_transfers(house.importer, [request], now=NOW)
    assert (first.code, again.code) == (ResultCode.ACCEPTED, ResultCode.ALREADY_ACCEPTED)
    row = house.jobs.execute(
        "SELECT occurred_at, recorded_at, decision_id FROM ledger.transfer_lines WHERE transfer_id = %s", [request.transfer_id]
    ).fetchone()
    assert row == (earlier, NOW, None)


def test_a_refused_import_can_be_mended(house: House) -> None:
    request = make_request(debit=PURSE, credit=BOB, amount_minor=50, code=TransferCode.IMPORT)
    (refused,) = import_transfers(house.importer, [request], now=NOW)
    assert refused.code is ResultCode.LIMIT_EXCEEDED
    house.bring_in(PURSE, 50)
    (accepted,) = import_transfers(house.importer, [request], now=NOW)
    assert accepted.code is ResultCode.ACCEPTED


def test_an_import_is_nothing_but_an_import(house: House) -> None:
    hold = make_hold(debit=BANK)
    house.must_post(hold)
    for request in (
        make_request(code=TransferCode.PAYMENT),
        make_hold(code=TransferCode.IMPORT),
        make_answer(hold, TransferKind.VOID, code=TransferCode.IMPORT),
        make_answer(hold, TransferKind.EXPIRE, code=TransferCode.EXPIRY),
    ):
        with pytest.raises(NotImportable):
            import_transfers(house.importer, [request], now=NOW)


def test_the_database_refuses_other_kinds_of_import_by_itself(house: House) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        house.importer.execute(
            "SELECT ledger.import_transfers(ROW(ARRAY[%s], ARRAY[1::SMALLINT], ARRAY[1], ARRAY[2], "
            "ARRAY[1::BIGINT], ARRAY[5::SMALLINT],"
            " ARRAY[%s], ARRAY[NULL::UUID], ARRAY[NULL::TIMESTAMPTZ], ARRAY[0::SMALLINT], "
            "ARRAY['customer:alice', 'customer:bob'],"
            " ARRAY['EUR', 'EUR'])::ledger.request_batch, %s)",
            [make_request().transfer_id, NOW, NOW],
        )


def test_bad_amounts_are_named_and_nothing_is_written(house: House) -> None:
    asked = [
        make_request(debit=BANK, credit=ALICE, amount_minor=amount, code=TransferCode.IMPORT)
        for amount in (0, -5, 2**53, 2**63, -(2**70), 10)
    ]
    codes = [result.code for result in import_transfers(house.importer, asked, now=NOW)]
    assert codes == [
        ResultCode.AMOUNT_NOT_POSITIVE,
        ResultCode.AMOUNT_NOT_POSITIVE,
        ResultCode.AMOUNT_OUT_OF_RANGE,
        ResultCode.AMOUNT_OUT_OF_RANGE,
        ResultCode.AMOUNT_NOT_POSITIVE,
        ResultCode.ACCEPTED,
    ]
    with pytest.raises(InvalidInput):
        import_transfers(house.importer, [replace(asked[-1], amount_minor=1.5)], now=NOW)  # type: ignore[arg-type]
