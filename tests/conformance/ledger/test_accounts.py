"""Accounts: opened, closed, stopped, rolled up; each tenant's own."""

from __future__ import annotations

import pytest

from domain.errors import InvalidInput
from domain.transfer import MAX_AMOUNT_MINOR, ResultCode
from ledger.port import AccountExists, AccountInUse, AccountNotFound
from tests.conformance.ledger.implementations import MakeLedger
from tests.conformance.ledger.scene import (
    ALICE,
    BANK,
    BOB,
    PURSE,
    Scene,
    codes_of,
    make_hold,
    make_post,
    make_request,
    make_reversal,
    make_void,
)


def test_opening_again_with_the_same_flags_does_nothing(scene: Scene) -> None:
    scene.fund(PURSE, 100)
    scene.ledger.open_account(PURSE, "EUR", debits_must_not_exceed_credits=True)
    assert scene.balance(PURSE).balance_minor == 100


def test_opening_again_with_other_flags_is_refused(scene: Scene) -> None:
    with pytest.raises(AccountExists):
        scene.ledger.open_account(PURSE, "EUR")
    with pytest.raises(AccountExists):
        scene.ledger.open_account(ALICE, "EUR", credits_must_not_exceed_debits=True)
    with pytest.raises(AccountExists):
        scene.ledger.open_account(ALICE, "EUR", rolled_up=True)
    assert codes_of(scene.put(make_request(debit=PURSE))) == [ResultCode.LIMIT_EXCEEDED]


@pytest.mark.parametrize(
    ("code", "currency"),
    [("alice", "EUR"), ("customer:a|b", "EUR"), ("", "EUR"), ("customer:" + "x" * 200, "EUR"), (ALICE, "eur"), (ALICE, "EURO")],
)
def test_a_code_or_currency_of_the_wrong_shape(scene: Scene, code: str, currency: str) -> None:
    with pytest.raises(InvalidInput):
        scene.ledger.open_account(code, currency)
    assert scene.ledger.find_balance(code, currency) is None


def test_a_rolled_up_account_has_no_limit(scene: Scene) -> None:
    with pytest.raises(InvalidInput):
        scene.ledger.open_account("house:fees:card", "EUR", rolled_up=True, debits_must_not_exceed_credits=True)
    assert scene.ledger.find_balance("house:fees:card", "EUR") is None


def test_the_same_code_in_another_currency_is_another_account(scene: Scene) -> None:
    scene.ledger.open_account(ALICE, "USD", debits_must_not_exceed_credits=True)
    scene.fund(ALICE, 100)
    assert scene.balance(ALICE, "USD").balance_minor == 0


@pytest.mark.parametrize("side", ["debit", "credit"])
def test_a_closed_account_takes_nothing_more(scene: Scene, side: str) -> None:
    moved = make_request()
    scene.do(moved)
    scene.ledger.close_account(ALICE if side == "debit" else BOB, "EUR")
    before = scene.picture()
    for request in (make_request(), make_hold(), make_reversal(moved), make_post(moved)):
        assert codes_of(scene.put(request)) == [ResultCode.ACCOUNT_CLOSED]
    assert scene.picture() == before
    scene.ledger.close_account(ALICE if side == "debit" else BOB, "EUR")


@pytest.mark.parametrize("account", [ALICE, BOB])
def test_a_stopped_account_takes_nothing_but_the_end_of_a_hold(scene: Scene, account: str) -> None:
    moved, hold = make_request(), make_hold()
    scene.do(moved, hold)
    scene.ledger.stop_account(account, "EUR")
    for request in (make_request(), make_hold(), make_reversal(moved), make_post(hold)):
        assert codes_of(scene.put(request)) == [ResultCode.ACCOUNT_STOPPED]
    scene.do(make_void(hold))
    scene.ledger.stop_account(account, "EUR")


@pytest.mark.parametrize("account", [ALICE, BOB])
def test_an_account_with_an_open_hold_can_not_be_closed(scene: Scene, account: str) -> None:
    hold = make_hold()
    scene.do(hold)
    with pytest.raises(AccountInUse):
        scene.ledger.close_account(account, "EUR")
    scene.do(make_void(hold))
    scene.ledger.close_account(account, "EUR")


def test_an_account_with_a_balance_can_be_closed(scene: Scene) -> None:
    scene.do(make_request())
    scene.ledger.close_account(BOB, "EUR")
    assert scene.balance(BOB).balance_minor == 100


def test_what_is_not_there_can_not_be_closed_or_stopped(scene: Scene) -> None:
    for code, currency in (("customer:nobody", "EUR"), (ALICE, "USD")):
        with pytest.raises(AccountNotFound):
            scene.ledger.close_account(code, currency)
        with pytest.raises(AccountNotFound):
            scene.ledger.stop_account(code, currency)


def test_unknown_accounts_and_other_currencies(scene: Scene) -> None:
    scene.ledger.open_account(ALICE, "USD")
    before = scene.picture()
    assert codes_of(
        scene.put(
            make_request(debit="customer:nobody"),
            make_request(credit="customer:nobody"),
            make_request(currency="USD"),
            make_request(debit=BOB, credit=ALICE, currency="USD"),
            make_request(debit="customer:nobody", credit="customer:no_one"),
        )
    ) == [
        ResultCode.DEBIT_ACCOUNT_NOT_FOUND, ResultCode.CREDIT_ACCOUNT_NOT_FOUND, ResultCode.CREDIT_ACCOUNT_NOT_FOUND,
        ResultCode.DEBIT_ACCOUNT_NOT_FOUND, ResultCode.DEBIT_ACCOUNT_NOT_FOUND,
    ]  # fmt: skip
    assert scene.picture() == before


# Rolled-up accounts ------------------------------------------------------------------------------------------------------------


def test_a_rolled_up_side_has_an_order_and_no_balance_after(scene: Scene) -> None:
    results = scene.do(*(make_request(debit=BANK, credit=ALICE, amount_minor=5) for _ in range(4)))
    results += scene.do(make_request(debit=BANK, credit=ALICE, amount_minor=5))
    orders = [result.debit_version for result in results]
    assert None not in orders
    assert orders == sorted(set(orders), key=lambda order: order or 0)
    assert {result.debit_balance_after_minor for result in results} == {None}
    assert [result.credit_balance_after_minor for result in results] == [5, 10, 15, 20, 25]


def test_rolling_up_changes_no_balance(scene: Scene) -> None:
    held = make_hold(debit=BANK, amount_minor=7)
    scene.do(make_request(debit=BANK, amount_minor=5), held, make_request(debit=ALICE, credit=BANK, amount_minor=3))
    before = scene.picture()
    assert scene.ledger.roll_up() > 0
    assert scene.picture() == before
    assert scene.ledger.roll_up() == 0
    scene.do(make_void(held), make_request(debit=BANK, amount_minor=1))
    bank = scene.balance(BANK)
    assert (bank.debits_posted_minor, bank.credits_posted_minor, bank.debits_pending_minor, bank.balance_minor) == (6, 3, 0, -3)


def test_two_rolled_up_accounts(scene: Scene) -> None:
    scene.ledger.open_account("house:fees:card", "EUR", rolled_up=True)
    hold = make_hold(debit=BANK, credit="house:fees:card", amount_minor=9)
    moved = make_request(debit=BANK, credit="house:fees:card", amount_minor=5)
    scene.do(hold, moved, make_post(hold, amount_minor=4), make_reversal(moved, amount_minor=2))
    assert (scene.balance("house:fees:card").balance_minor, scene.balance(BANK).balance_minor) == (7, -7)


def test_the_sums_of_a_rolled_up_account_have_no_bound_in_one_call_or_in_two(scene: Scene) -> None:
    most = MAX_AMOUNT_MINOR - 5
    scene.do(make_request(debit=BANK, credit=ALICE, amount_minor=most), make_request(debit=BANK, credit=BOB, amount_minor=most))
    scene.do(make_hold(debit=BANK, credit=PURSE, amount_minor=most), make_hold(debit=BANK, credit=PURSE, amount_minor=5))
    assert scene.balance(BANK).debits_posted_minor == 2 * most


@pytest.mark.parametrize("kind", ["close", "stop"])
def test_a_rolled_up_account_can_be_closed_and_stopped(scene: Scene, kind: str) -> None:
    if kind == "close":
        scene.ledger.close_account(BANK, "EUR")
    else:
        scene.ledger.stop_account(BANK, "EUR")
    code = ResultCode.ACCOUNT_CLOSED if kind == "close" else ResultCode.ACCOUNT_STOPPED
    assert codes_of(scene.put(make_request(debit=BANK), make_request(credit=BANK))) == [code] * 2


# Tenants -----------------------------------------------------------------------------------------------------------------------


def test_the_accounts_of_another_tenant_are_not_there(make_ledger: MakeLedger) -> None:
    ours, theirs = Scene(make_ledger()), Scene(make_ledger())
    theirs.ledger.open_account("customer:theirs", "EUR")
    assert codes_of(ours.put(make_request(debit="customer:theirs"), make_request(credit="customer:theirs"))) == [
        ResultCode.DEBIT_ACCOUNT_NOT_FOUND, ResultCode.CREDIT_ACCOUNT_NOT_FOUND,
    ]  # fmt: skip
    assert ours.ledger.find_balance("customer:theirs", "EUR") is None
    with pytest.raises(AccountNotFound):
        ours.ledger.close_account("customer:theirs", "EUR")


def test_the_transfers_of_another_tenant_are_not_there(make_ledger: MakeLedger) -> None:
    ours, theirs = Scene(make_ledger()), Scene(make_ledger())
    hold, moved = make_hold(), make_request()
    theirs.do(hold, moved)
    assert codes_of(ours.put(make_post(hold), make_void(hold), make_reversal(moved))) == [ResultCode.TARGET_NOT_FOUND] * 3
    assert ours.ledger.find_transfer(moved.transfer_id) is None
    assert ours.ledger.find_hold(hold.transfer_id) is None
    # Their ids are not taken here.
    ours.do(moved)
    assert theirs.hold_state(hold) == "pending"
