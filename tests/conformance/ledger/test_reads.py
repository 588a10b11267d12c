"""Reads: balances with holds, at a time, statements by cursor, single transfers and holds, the trial balance."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.errors import InvalidInput
from domain.transfer import ResultCode, TransferCode
from ledger.port import AccountBalance, StatementLine, Transfer, TrialBalanceLine
from tests.conformance.ledger.scene import (
    ALICE,
    BANK,
    BOB,
    NOW,
    PURSE,
    Scene,
    chain,
    codes_of,
    make_hold,
    make_post,
    make_request,
    make_reversal,
    make_void,
)

_HOUR = timedelta(hours=1)


def test_an_account_that_nothing_touched(scene: Scene) -> None:
    assert scene.balance(ALICE) == AccountBalance(ALICE, "EUR", 0, 0, 0, 0, 0, 0)
    assert scene.ledger.list_entries(ALICE, "EUR", after=None, limit=10) == []
    assert scene.ledger.find_balance("customer:nobody", "EUR") is None
    assert scene.ledger.find_balance_at("customer:nobody", "EUR", NOW) is None
    assert scene.ledger.find_balance(ALICE, "USD") is None


def test_a_statement_says_what_each_transfer_did(scene: Scene) -> None:
    hold = make_hold(amount_minor=100)
    post = make_post(hold, amount_minor=70, code=TransferCode.HOLD_RELEASE)
    back = make_reversal(post, amount_minor=20)
    scene.do(hold)
    scene.do(post, now=NOW + _HOUR)
    scene.do(back, now=NOW + 2 * _HOUR)
    lines = scene.ledger.list_entries(ALICE, "EUR", after=None, limit=10)
    assert [(line.version, line.kind, line.side, line.amount_minor, line.balance_after_minor) for line in lines] == [
        (1, "pending", "debit", 100, 0), (2, "post", "debit", 70, -70), (3, "reverse", "credit", 20, -50),
    ]  # fmt: skip
    assert lines[1] == StatementLine(
        version=2, transfer_id=post.transfer_id, kind=post.kind, code=TransferCode.HOLD_RELEASE, side=lines[0].side,
        other_account=BOB, amount_minor=70, balance_after_minor=-70, occurred_at=NOW, recorded_at=NOW + _HOUR,
    )  # fmt: skip


def test_a_statement_is_read_in_pages(scene: Scene) -> None:
    scene.do(*(make_request(amount_minor=amount_minor) for amount_minor in range(1, 8)))
    scene.do(make_request(debit=BANK, credit=BOB))
    pages, after = [], None
    for _ in range(4):
        page = scene.ledger.list_entries(ALICE, "EUR", after=after, limit=3)
        pages.append([line.amount_minor for line in page])
        after = page[-1].version if page else after
    assert pages == [[1, 2, 3], [4, 5, 6], [7], []]
    with pytest.raises(InvalidInput):
        scene.ledger.list_entries(ALICE, "EUR", after=None, limit=0)


def test_the_statement_of_a_rolled_up_account_is_in_order(scene: Scene) -> None:
    scene.do(*(make_request(debit=BANK, amount_minor=amount_minor) for amount_minor in (1, 2, 3)))
    scene.ledger.roll_up()
    scene.do(make_request(credit=BANK, amount_minor=4))
    lines = scene.ledger.list_entries(BANK, "EUR", after=None, limit=10)
    assert [line.amount_minor for line in lines] == [1, 2, 3, 4]
    assert [line.version for line in lines] == sorted({line.version for line in lines})
    later = scene.ledger.list_entries(BANK, "EUR", after=lines[1].version, limit=10)
    assert later == lines[2:]
    assert scene.balance(BANK).version == 4


def test_a_balance_at_a_time_has_all_that_was_recorded_until_then(scene: Scene) -> None:
    hold = make_hold(amount_minor=100, hold_expires_at=NOW + 10 * _HOUR)
    other = make_hold(amount_minor=8)
    scene.do(make_request(amount_minor=5, occurred_at=NOW - 50 * _HOUR), hold)
    scene.do(make_post(hold, amount_minor=30), other, now=NOW + _HOUR)
    scene.do(make_void(other), make_request(debit=BOB, credit=ALICE, amount_minor=1), now=NOW + 2 * _HOUR)

    def sums_at(at_hours: int, *, less: timedelta = timedelta(0)) -> tuple[int, ...]:
        found = scene.ledger.find_balance_at(ALICE, "EUR", NOW + at_hours * _HOUR - less)
        assert found is not None
        assert found.balance_minor == found.credits_posted_minor - found.debits_posted_minor
        return found.debits_posted_minor, found.credits_posted_minor, found.debits_pending_minor, found.version

    tick = timedelta(microseconds=1)
    assert sums_at(0, less=tick) == (0, 0, 0, 0)
    assert sums_at(0) == (5, 0, 100, 2)
    assert sums_at(1, less=tick) == (5, 0, 100, 2)
    assert sums_at(1) == (35, 0, 8, 4)
    assert sums_at(2) == (35, 1, 0, 6)
    assert scene.ledger.find_balance_at(ALICE, "EUR", NOW + 100 * _HOUR) == scene.balance(ALICE)


def test_the_balance_of_a_rolled_up_account_at_a_time(scene: Scene) -> None:
    scene.do(make_request(debit=BANK, amount_minor=5))
    scene.ledger.roll_up()
    scene.do(make_request(debit=BANK, amount_minor=7), now=NOW + _HOUR)
    found = scene.ledger.find_balance_at(BANK, "EUR", NOW)
    assert found is not None
    assert found.debits_posted_minor == 5


def test_a_transfer_is_found_as_it_was_written(scene: Scene) -> None:
    legs = chain(make_request(occurred_at=NOW - _HOUR, code=TransferCode.PAYMENT), make_request(debit=BANK))
    decision_id = scene.allow(*legs)
    results = scene.ask(*legs, now=NOW + timedelta(seconds=1))
    assert scene.ledger.find_transfer(legs[0].transfer_id) == Transfer(
        transfer_id=legs[0].transfer_id, kind=legs[0].kind, debit=ALICE, credit=BOB, amount_minor=100, currency="EUR",
        code=TransferCode.PAYMENT, target_id=None, hold_expires_at=None, linked=True, balancing=None, decision_id=decision_id,
        debit_version=1, credit_version=1, debit_balance_after_minor=-100, credit_balance_after_minor=100,
        occurred_at=NOW - _HOUR, recorded_at=NOW + timedelta(seconds=1),
    )  # fmt: skip
    second = scene.ledger.find_transfer(legs[1].transfer_id)
    assert second is not None
    assert second.debit_version == results[1].debit_version
    assert (second.debit_balance_after_minor, second.linked) == (None, False)


def test_what_was_refused_is_no_transfer(scene: Scene) -> None:
    refused, hold = make_request(debit=PURSE), make_hold(debit=PURSE)
    assert codes_of(scene.put(refused, hold)) == [ResultCode.LIMIT_EXCEEDED] * 2
    assert scene.ledger.find_transfer(refused.transfer_id) is None
    assert scene.ledger.find_hold(hold.transfer_id) is None


def test_a_hold_is_found_with_its_time(scene: Scene) -> None:
    hold = make_hold(hold_expires_at=NOW + _HOUR)
    moved = make_request()
    scene.do(hold, moved)
    found = scene.ledger.find_hold(hold.transfer_id)
    assert found is not None
    assert (found.debit, found.credit, found.currency, found.held_minor, found.expires_at, found.state, found.resolved_by) == (
        ALICE, BOB, "EUR", 100, NOW + _HOUR, "pending", None,
    )  # fmt: skip
    assert scene.ledger.find_hold(moved.transfer_id) is None


def test_the_trial_balance_has_a_line_per_currency(scene: Scene) -> None:
    for account in (ALICE, BOB):
        scene.ledger.open_account(account, "CHF")
    scene.do(make_request(), make_request(currency="CHF", amount_minor=7), make_hold())
    assert scene.ledger.list_trial_balance() == [TrialBalanceLine("CHF", 7, 7), TrialBalanceLine("EUR", 100, 100)]
