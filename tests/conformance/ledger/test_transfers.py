"""Posting, limits, balancing and reversing: what moves, and what the two accounts then say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.transfer import MAX_AMOUNT_MINOR, MAX_BATCH, Balancing, ResultCode, TransferResult
from ledger.port import BatchTooLarge
from tests.conformance.ledger.scene import (
    ALICE,
    BANK,
    BOB,
    LOAN,
    NOW,
    PURSE,
    Scene,
    codes_of,
    make_hold,
    make_post,
    make_request,
    make_reversal,
    make_void,
)


def test_a_transfer_moves_money_and_says_what_both_accounts_then_hold(scene: Scene) -> None:
    first = make_request(amount_minor=100)
    second = make_request(amount_minor=30, debit=BOB, credit=ALICE)
    assert scene.do(first, second) == [
        TransferResult(first.transfer_id, ResultCode.ACCEPTED, None, 100, 1, 1, -100, 100, NOW),
        TransferResult(second.transfer_id, ResultCode.ACCEPTED, None, 30, 2, 2, 70, -70, NOW),
    ]
    alice = scene.balance(ALICE)
    assert (alice.debits_posted_minor, alice.credits_posted_minor, alice.balance_minor, alice.version) == (100, 30, -70, 2)


def test_no_requests_no_answers(scene: Scene) -> None:
    assert scene.ask() == []


def test_a_call_takes_so_many_requests_and_not_one_more(scene: Scene) -> None:
    # Where a call is a loop of single ones, a full one takes minutes and shows nothing.
    is_batched = getattr(scene.ledger, "is_batched", True)
    requests = [make_request(amount_minor=1, debit=BANK) for _ in range(MAX_BATCH)]
    with pytest.raises(BatchTooLarge):
        scene.ask(*requests, make_request())
    count = MAX_BATCH if is_batched else 100
    scene.do(*requests[:count])
    assert scene.balance(BOB).balance_minor == count


def test_results_come_in_the_order_of_the_requests(scene: Scene) -> None:
    requests = [make_request(amount_minor=amount_minor) for amount_minor in (1, 0, 2, -5, 3)]
    scene.allow(*(request for request in requests if request.amount_minor > 0))
    results = scene.ask(*requests)
    assert [result.transfer_id for result in results] == [request.transfer_id for request in requests]
    assert [result.amount_minor for result in results] == [1, None, 2, None, 3]


def test_debits_stay_within_credits(scene: Scene) -> None:
    scene.fund(PURSE, 100)
    exact, over = make_request(debit=PURSE, amount_minor=100), make_request(debit=PURSE, amount_minor=1)
    assert codes_of(scene.put(exact, over)) == [ResultCode.ACCEPTED, ResultCode.LIMIT_EXCEEDED]


def test_credits_stay_within_debits(scene: Scene) -> None:
    scene.do(make_request(debit=LOAN, amount_minor=100))
    exact, over = make_request(credit=LOAN, amount_minor=100), make_request(credit=LOAN, amount_minor=1)
    assert codes_of(scene.put(exact, over)) == [ResultCode.ACCEPTED, ResultCode.LIMIT_EXCEEDED]


def test_a_hold_counts_against_both_limits(scene: Scene) -> None:
    scene.fund(PURSE, 100)
    scene.do(make_request(debit=LOAN, amount_minor=100))
    scene.do(make_hold(debit=PURSE, credit=LOAN, amount_minor=60))
    assert codes_of(scene.put(make_request(debit=PURSE, amount_minor=41))) == [ResultCode.LIMIT_EXCEEDED]
    assert codes_of(scene.put(make_request(credit=LOAN, amount_minor=41))) == [ResultCode.LIMIT_EXCEEDED]
    assert codes_of(scene.put(make_hold(debit=PURSE, amount_minor=41))) == [ResultCode.LIMIT_EXCEEDED]
    scene.do(make_request(debit=PURSE, amount_minor=40), make_request(credit=LOAN, amount_minor=40))


def test_a_hold_on_the_other_side_gives_no_room(scene: Scene) -> None:
    scene.do(make_hold(debit=BANK, credit=PURSE, amount_minor=100))
    assert codes_of(scene.put(make_request(debit=PURSE, amount_minor=1))) == [ResultCode.LIMIT_EXCEEDED]


def test_room_made_earlier_in_the_call_counts(scene: Scene) -> None:
    spend = make_request(debit=PURSE, amount_minor=50)
    spent_again = replace(spend, transfer_id=make_request().transfer_id)
    fund = make_request(debit=BANK, credit=PURSE, amount_minor=50)
    assert codes_of(scene.put(spend, fund, spent_again)) == [
        ResultCode.LIMIT_EXCEEDED, ResultCode.ACCEPTED, ResultCode.ACCEPTED,
    ]  # fmt: skip


def test_balances_stop_at_the_end_of_the_range(scene: Scene) -> None:
    scene.do(make_request(debit=BANK, credit=BOB, amount_minor=MAX_AMOUNT_MINOR))
    for over in (make_request(debit=BANK, amount_minor=1), make_hold(debit=BANK, amount_minor=1)):
        assert codes_of(scene.put(over)) == [ResultCode.BALANCE_OUT_OF_RANGE]
    assert scene.balance(BOB).credits_posted_minor == MAX_AMOUNT_MINOR


@pytest.mark.parametrize(("debit", "credit"), [(BANK, BOB), (BOB, BANK)])
def test_a_hold_that_could_not_be_posted_is_refused(scene: Scene, debit: str, credit: str) -> None:
    scene.do(make_hold(debit=debit, credit=credit, amount_minor=MAX_AMOUNT_MINOR - 1))
    assert codes_of(scene.put(make_hold(debit=debit, credit=credit, amount_minor=2))) == [ResultCode.BALANCE_OUT_OF_RANGE]
    scene.do(make_hold(debit=debit, credit=credit, amount_minor=1))


# Balancing ---------------------------------------------------------------------------------------------------------------------


def test_balancing_a_debit_moves_what_there_is(scene: Scene) -> None:
    scene.fund(PURSE, 100)
    scene.do(make_hold(debit=PURSE, amount_minor=30))
    sweep = make_request(debit=PURSE, amount_minor=MAX_AMOUNT_MINOR, balancing=Balancing.DEBIT)
    assert scene.do(sweep)[0].amount_minor == 70
    found = scene.ledger.find_transfer(sweep.transfer_id)
    assert found is not None
    assert (found.amount_minor, found.balancing) == (70, Balancing.DEBIT)
    assert scene.balance(PURSE).balance_minor == 30


def test_balancing_a_credit_moves_what_there_is(scene: Scene) -> None:
    scene.do(make_request(debit=LOAN, amount_minor=100))
    scene.do(make_hold(credit=LOAN, amount_minor=30))
    assert scene.do(make_request(credit=LOAN, amount_minor=500, balancing=Balancing.CREDIT))[0].amount_minor == 70


def test_a_balancing_hold_holds_what_there_is(scene: Scene) -> None:
    scene.fund(PURSE, 100)
    hold = make_hold(debit=PURSE, amount_minor=500, balancing=Balancing.DEBIT)
    assert scene.do(hold)[0].amount_minor == 100
    found = scene.ledger.find_hold(hold.transfer_id)
    assert found is not None
    assert found.held_minor == 100
    assert codes_of(scene.put(make_void(hold))) == [ResultCode.TARGET_MISMATCH]
    scene.do(make_post(hold, amount_minor=100))


def test_balancing_asks_for_no_more_than_the_amount(scene: Scene) -> None:
    scene.fund(PURSE, 100)
    assert scene.do(make_request(debit=PURSE, amount_minor=60, balancing=Balancing.DEBIT))[0].amount_minor == 60


def test_balancing_without_a_limit_moves_the_amount(scene: Scene) -> None:
    assert scene.do(make_request(amount_minor=60, balancing=Balancing.DEBIT))[0].amount_minor == 60
    # Its limit is on its debits; what it is credited has no bound.
    assert scene.do(make_request(credit=PURSE, amount_minor=60, balancing=Balancing.CREDIT))[0].amount_minor == 60


def test_balancing_one_side_does_not_lift_the_limit_of_the_other(scene: Scene) -> None:
    scene.fund(PURSE, 100)
    request = make_request(debit=PURSE, credit=LOAN, amount_minor=60, balancing=Balancing.DEBIT)
    assert codes_of(scene.put(request)) == [ResultCode.LIMIT_EXCEEDED]


def test_nothing_to_balance(scene: Scene) -> None:
    request = make_request(debit=PURSE, balancing=Balancing.DEBIT)
    assert codes_of(scene.put(request)) == [ResultCode.NOTHING_TO_BALANCE]


# Reversals ---------------------------------------------------------------------------------------------------------------------


def test_a_transfer_is_reversed_in_parts_and_never_more(scene: Scene) -> None:
    moved = make_request(amount_minor=100)
    scene.do(moved)
    scene.do(make_reversal(moved, amount_minor=60))
    assert codes_of(scene.put(make_reversal(moved, amount_minor=41))) == [ResultCode.EXCEEDS_REVERSIBLE]
    scene.do(make_reversal(moved, amount_minor=40))
    assert codes_of(scene.put(make_reversal(moved, amount_minor=1))) == [ResultCode.EXCEEDS_REVERSIBLE]
    assert (scene.balance(ALICE).balance_minor, scene.balance(BOB).balance_minor) == (0, 0)


def test_parts_in_one_call_are_counted_together(scene: Scene) -> None:
    moved = make_request(amount_minor=100)
    first, second = make_reversal(moved, amount_minor=60), make_reversal(moved, amount_minor=60)
    assert codes_of(scene.put(moved, first, second)) == [
        ResultCode.ACCEPTED, ResultCode.ACCEPTED, ResultCode.EXCEEDS_REVERSIBLE,
    ]  # fmt: skip


def test_what_a_hold_moved_can_be_reversed(scene: Scene) -> None:
    hold = make_hold(amount_minor=100)
    post = make_post(hold, amount_minor=70)
    scene.do(hold, post)
    assert codes_of(scene.put(make_reversal(post, amount_minor=71))) == [ResultCode.EXCEEDS_REVERSIBLE]
    scene.do(make_reversal(post))


def test_only_what_moved_money_can_be_reversed(scene: Scene) -> None:
    moved, hold = make_request(), make_hold()
    back, void = make_reversal(moved), make_void(hold)
    scene.do(moved, back, hold, void)
    for target in (back, hold, void):
        assert codes_of(scene.put(make_reversal(target))) == [ResultCode.TARGET_OF_ANOTHER_KIND]


def test_a_reversal_swaps_the_accounts(scene: Scene) -> None:
    moved = make_request()
    scene.do(moved)
    for wrong in (
        make_reversal(moved, debit=moved.debit, credit=moved.credit),
        make_reversal(moved, debit=BANK),
        make_reversal(moved, credit=BANK),
    ):
        assert codes_of(scene.put(wrong)) == [ResultCode.TARGET_MISMATCH]


def test_a_reversal_keeps_the_limits(scene: Scene) -> None:
    into = scene.fund(PURSE, 100)
    scene.do(make_request(debit=PURSE, amount_minor=60))
    assert codes_of(scene.put(make_reversal(into, amount_minor=41))) == [ResultCode.LIMIT_EXCEEDED]
    scene.do(make_reversal(into, amount_minor=40))


def test_a_refused_reversal_takes_nothing_off_what_is_left(scene: Scene) -> None:
    into = scene.fund(PURSE, 100)
    scene.do(make_request(debit=PURSE, amount_minor=100))
    assert codes_of(scene.put(make_reversal(into, amount_minor=100))) == [ResultCode.LIMIT_EXCEEDED]
    scene.fund(PURSE, 100)
    scene.do(make_reversal(into, amount_minor=100))
