"""Chains: all legs or none, each pass over the whole, and the first leg that fails names the code."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.transfer import Balancing, ResultCode
from tests.conformance.ledger.scene import (
    ALICE,
    BANK,
    BOB,
    LOAN,
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

_FAILED = ResultCode.LINKED_FAILED


def test_all_legs_are_accepted_together(scene: Scene) -> None:
    legs = chain(make_request(debit=BANK, credit=PURSE), make_request(debit=PURSE, credit=BOB), make_request())
    results = scene.do(*legs)
    assert [result.credit_balance_after_minor for result in results] == [100, 100, 200]


def test_currency_exchange_is_a_chain_over_two_currencies(scene: Scene) -> None:
    for account in (ALICE, "house:exchange:desk"):
        scene.ledger.open_account(account, "USD")
    scene.ledger.open_account("house:exchange:desk", "EUR")
    scene.do(
        *chain(
            make_request(debit=ALICE, credit="house:exchange:desk", amount_minor=100),
            make_request(debit="house:exchange:desk", credit=ALICE, amount_minor=108, currency="USD"),
        )
    )
    assert (scene.balance(ALICE).balance_minor, scene.balance(ALICE, "USD").balance_minor) == (-100, 108)
    assert all(line.debits_posted_minor == line.credits_posted_minor for line in scene.ledger.list_trial_balance())


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_leg_that_fails_fails_all(scene: Scene, place: int) -> None:
    legs = [make_request(), make_request(debit=BOB, credit=ALICE), make_request(debit=BANK)]
    legs[place] = make_request(debit=PURSE)
    before = scene.picture()
    expected = [_FAILED] * 3
    expected[place] = ResultCode.LIMIT_EXCEEDED
    results = scene.put(*chain(*legs))
    assert codes_of(results) == expected
    assert all(result.amount_minor is None and result.debit_version is None for result in results)
    assert scene.picture() == before


def test_a_chain_that_fails_leaves_no_trace_of_any_kind(scene: Scene) -> None:
    """Each leg before the last one does something else, so that each kind of change has to be taken back."""
    scene.fund(PURSE, 100)
    moved, held, other = make_request(debit=BOB, credit=ALICE), make_hold(), make_hold()
    scene.do(moved, held, other)
    before = scene.picture()
    inner = make_hold(debit=BANK, credit=LOAN, amount_minor=5)
    legs = chain(
        make_request(debit=PURSE, amount_minor=500, balancing=Balancing.DEBIT),
        make_reversal(moved, amount_minor=60),
        make_post(held, amount_minor=30),
        make_void(other),
        make_hold(debit=BOB, credit=ALICE),
        inner,
    )
    results = scene.put(*legs)
    assert codes_of(results) == [*[_FAILED] * 5, ResultCode.LIMIT_EXCEEDED]
    assert scene.picture() == before
    assert (scene.hold_state(held), scene.hold_state(other)) == ("pending", "pending")
    assert scene.ledger.find_hold(inner.transfer_id) is None
    scene.do(make_reversal(moved, amount_minor=100), make_post(held), make_void(other))
    scene.do(make_request(debit=PURSE, amount_minor=100))


def test_legs_see_those_before_them(scene: Scene) -> None:
    hold = make_hold(debit=PURSE, amount_minor=60)
    legs = chain(make_request(debit=BANK, credit=PURSE, amount_minor=60), hold, make_post(hold), make_request(debit=PURSE))
    assert codes_of(scene.put(*legs)) == [_FAILED, _FAILED, _FAILED, ResultCode.LIMIT_EXCEEDED]
    again = make_hold(debit=PURSE, amount_minor=60)
    scene.do(*chain(make_request(debit=BANK, credit=PURSE, amount_minor=60), again, make_post(again)))


def test_requests_around_a_chain_stand_by_themselves(scene: Scene) -> None:
    before, after = make_request(), make_request()
    first = chain(make_request(), make_request(debit=PURSE))
    second = chain(make_request(), make_request())
    assert codes_of(scene.put(before, *first, *second, after)) == [
        ResultCode.ACCEPTED, _FAILED, ResultCode.LIMIT_EXCEEDED, ResultCode.ACCEPTED, ResultCode.ACCEPTED, ResultCode.ACCEPTED,
    ]  # fmt: skip
    assert scene.balance(BOB).balance_minor == 400


def test_a_chain_cut_short_is_refused_and_writes_nothing(scene: Scene) -> None:
    whole = chain(make_request(), make_request(), make_request())
    before = scene.picture()
    scene.allow(*whole)
    assert codes_of(scene.ask(*whole[:2])) == [_FAILED, ResultCode.CHAIN_OPEN]
    assert codes_of(scene.ask(whole[0])) == [ResultCode.CHAIN_OPEN]
    assert scene.picture() == before
    assert codes_of(scene.ask(*whole)) == [ResultCode.ACCEPTED] * 3


def test_an_earlier_fault_hides_the_open_end(scene: Scene) -> None:
    legs = chain(make_request(amount_minor=0), make_request(), make_request())
    assert codes_of(scene.ask(*legs[:2])) == [ResultCode.AMOUNT_NOT_POSITIVE, _FAILED]


def test_a_pass_goes_over_all_legs_before_the_next_one(scene: Scene) -> None:
    """The first leg has no decision, the second no sense: the second is found first."""
    legs = chain(make_request(), make_request(amount_minor=0))
    assert codes_of(scene.ask(*legs)) == [_FAILED, ResultCode.AMOUNT_NOT_POSITIVE]
    # The first is over its limit, the second has no decision.
    legs = chain(make_request(debit=PURSE), make_request())
    scene.allow(legs[0])
    assert codes_of(scene.ask(*legs)) == [_FAILED, ResultCode.NOT_AUTHORIZED]
    # The first has no decision, the second an id that was taken.
    taken = make_request()
    scene.do(taken)
    legs = chain(make_request(), replace(taken, amount_minor=7))
    assert codes_of(scene.ask(*legs)) == [_FAILED, ResultCode.ID_CONFLICT]


def test_a_leg_without_a_decision_uses_up_no_decision(scene: Scene) -> None:
    legs = chain(make_request(), make_request())
    scene.allow(legs[0])
    assert codes_of(scene.ask(*legs)) == [_FAILED, ResultCode.NOT_AUTHORIZED]
    scene.allow(legs[1])
    assert codes_of(scene.ask(*legs)) == [ResultCode.ACCEPTED] * 2


def test_a_leg_outside_of_its_time_uses_up_no_decision(scene: Scene) -> None:
    legs = chain(make_request(), make_request())
    scene.allow(legs[0])
    later = NOW + timedelta(seconds=10)
    scene.allow(legs[1], now=later)
    assert codes_of(scene.ask(*legs)) == [_FAILED, ResultCode.DECISION_NOT_YET_VALID]
    assert codes_of(scene.ask(*legs, now=later)) == [ResultCode.ACCEPTED] * 2


def test_the_same_chain_again_gets_the_stored_answers(scene: Scene) -> None:
    legs = chain(make_request(), make_request(debit=BANK))
    first = scene.do(*legs)
    again = scene.ask(*legs, now=NOW + timedelta(hours=1))
    assert again == [replace(result, code=ResultCode.ALREADY_ACCEPTED) for result in first]


def test_an_accepted_leg_without_the_rest_is_a_conflict(scene: Scene) -> None:
    legs = chain(make_request(), make_request())
    scene.do(*legs)
    new = make_request()
    scene.allow(new)
    assert codes_of(scene.ask(legs[0], new)) == [ResultCode.ID_CONFLICT, _FAILED]
    # Unlinked it is another body; and so it is in another place of a chain.
    assert codes_of(scene.ask(replace(legs[0], linked=False))) == [ResultCode.ID_CONFLICT]
    assert codes_of(scene.ask(new)) == [ResultCode.ACCEPTED]


def test_the_last_leg_alone_is_a_repetition(scene: Scene) -> None:
    legs = chain(make_request(), make_request())
    scene.do(*legs)
    assert codes_of(scene.ask(legs[1])) == [ResultCode.ALREADY_ACCEPTED]


def test_a_refused_chain_stays_refused_leg_by_leg(scene: Scene) -> None:
    legs = chain(make_request(), make_request(debit=PURSE))
    assert codes_of(scene.put(*legs)) == [_FAILED, ResultCode.LIMIT_EXCEEDED]
    scene.fund(PURSE, 1000)
    again = scene.ask(*legs)
    assert codes_of(again) == [ResultCode.REFUSED_BEFORE, _FAILED]
    assert again[0].refused_code is _FAILED
    last = scene.ask(legs[1])[0]
    assert (last.code, last.refused_code) == (ResultCode.REFUSED_BEFORE, ResultCode.LIMIT_EXCEEDED)
    # A new chain cannot take up a leg of the old one either.
    new = replace(make_request(), linked=True)
    scene.allow(new)
    assert codes_of(scene.ask(new, legs[1])) == [_FAILED, ResultCode.REFUSED_BEFORE]


def test_an_id_stands_once_in_a_chain(scene: Scene) -> None:
    first = replace(make_request(), linked=True)
    for second in (replace(first, linked=False), first, replace(first, amount_minor=5)):
        scene_legs = [first, second, make_request()]
        before = scene.picture()
        assert codes_of(scene.ask(*scene_legs))[:2] == [_FAILED, ResultCode.ID_CONFLICT]
        assert scene.picture() == before


def test_a_long_chain(scene: Scene) -> None:
    legs = chain(*(make_request(amount_minor=1) for _ in range(500)))
    scene.do(*legs)
    late = chain(*(make_request(amount_minor=1) for _ in range(500)), make_request(debit=PURSE))
    assert codes_of(scene.put(*late)) == [*[_FAILED] * 500, ResultCode.LIMIT_EXCEEDED]
    assert scene.balance(BOB).balance_minor == 500
