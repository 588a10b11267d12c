"""The same id again: the stored answer, a conflict, or the refusal that stays; in another call and within one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.transfer import Balancing, ResultCode, TransferCode, TransferKind
from tests.conformance.ledger.scene import ALICE, BANK, BOB, LOAN, NOW, PURSE, Scene, codes_of, make_hold, make_post, make_request

_LATER = NOW + timedelta(hours=1)


def test_a_repetition_gets_the_stored_answer_and_moves_nothing(scene: Scene) -> None:
    request = make_request()
    first = scene.do(request)[0]
    scene.do(make_request())
    before = scene.picture()
    for _ in range(3):
        assert scene.ask(request, now=_LATER) == [replace(first, code=ResultCode.ALREADY_ACCEPTED)]
    assert scene.picture() == before


def test_a_repetition_is_answered_on_a_closed_and_a_stopped_account(scene: Scene) -> None:
    request = make_request()
    scene.do(request)
    scene.ledger.close_account(ALICE, "EUR")
    scene.ledger.stop_account(BOB, "EUR")
    assert codes_of(scene.ask(request)) == [ResultCode.ALREADY_ACCEPTED]


def test_the_event_time_is_no_part_of_the_body(scene: Scene) -> None:
    request = make_request()
    scene.allow(request)
    assert codes_of(scene.ask(replace(request, occurred_at=NOW - timedelta(days=9)))) == [ResultCode.ACCEPTED]
    assert codes_of(scene.ask(request)) == [ResultCode.ALREADY_ACCEPTED]
    refused = make_request(debit=PURSE)
    assert codes_of(scene.put(refused)) == [ResultCode.LIMIT_EXCEEDED]
    assert codes_of(scene.ask(replace(refused, occurred_at=_LATER))) == [ResultCode.REFUSED_BEFORE]


_OTHER_BODIES: list[dict[str, Any]] = [
    {"amount_minor": 99},
    {"amount_minor": 101},
    {"debit": BANK},
    {"credit": BANK},
    {"debit": BOB, "credit": ALICE},
    {"currency": "USD"},
    {"code": TransferCode.FEE},
    {"kind": TransferKind.PENDING},
    {"kind": TransferKind.PENDING, "hold_expires_at": _LATER},
    {"kind": TransferKind.REVERSE, "target_id": uuid4()},
    {"balancing": Balancing.DEBIT, "amount_minor": 100},
]


@pytest.mark.parametrize("change", _OTHER_BODIES, ids="-".join)
def test_another_body_is_a_conflict(scene: Scene, change: dict[str, Any]) -> None:
    accepted, refused = make_request(), make_request(amount_minor=100)
    scene.do(accepted)
    scene.ledger.stop_account(ALICE, "EUR")
    assert codes_of(scene.put(refused)) == [ResultCode.ACCOUNT_STOPPED]
    before = scene.picture()
    for request in (accepted, refused):
        assert codes_of(scene.ask(replace(request, **change))) == [ResultCode.ID_CONFLICT]
    assert scene.picture() == before


def test_every_field_of_a_hold_counts(scene: Scene) -> None:
    hold = make_hold(hold_expires_at=_LATER)
    post = make_post(hold)
    scene.do(hold, post)
    for other in (
        replace(hold, hold_expires_at=None),
        replace(hold, hold_expires_at=_LATER + timedelta(microseconds=1)),
        replace(post, target_id=uuid4()),
        replace(post, amount_minor=99),
    ):
        assert codes_of(scene.ask(other)) == [ResultCode.ID_CONFLICT]


def test_a_balancing_request_is_repeated_by_what_it_asked(scene: Scene) -> None:
    scene.fund(PURSE, 70)
    sweep = make_request(debit=PURSE, amount_minor=500, balancing=Balancing.DEBIT)
    first = scene.do(sweep)[0]
    scene.fund(PURSE, 70)
    assert scene.ask(sweep) == [replace(first, code=ResultCode.ALREADY_ACCEPTED)]
    assert codes_of(scene.ask(replace(sweep, amount_minor=69))) == [ResultCode.ID_CONFLICT]
    assert codes_of(scene.ask(replace(sweep, balancing=None))) == [ResultCode.ID_CONFLICT]
    assert codes_of(scene.ask(replace(sweep, balancing=Balancing.CREDIT))) == [ResultCode.ID_CONFLICT]


def test_a_refusal_stays_when_its_reason_has_passed(scene: Scene) -> None:
    request = make_request(debit=PURSE)
    assert codes_of(scene.put(request)) == [ResultCode.LIMIT_EXCEEDED]
    scene.fund(PURSE, 1000)
    before = scene.picture()
    for _ in range(2):
        again = scene.ask(request)[0]
        assert (again.code, again.refused_code) == (ResultCode.REFUSED_BEFORE, ResultCode.LIMIT_EXCEEDED)
    assert scene.picture() == before
    scene.do(replace(request, transfer_id=uuid4()))


def test_a_refused_id_with_another_body_is_a_conflict(scene: Scene) -> None:
    request = make_request(debit=PURSE)
    assert codes_of(scene.put(request)) == [ResultCode.LIMIT_EXCEEDED]
    assert codes_of(scene.ask(replace(request, amount_minor=1))) == [ResultCode.ID_CONFLICT]
    # For a refused one the amount asked for counts, balancing or not: nothing was moved.
    sweep = make_request(credit=LOAN, balancing=Balancing.CREDIT)
    assert codes_of(scene.put(sweep)) == [ResultCode.NOTHING_TO_BALANCE]
    assert codes_of(scene.ask(replace(sweep, amount_minor=101))) == [ResultCode.ID_CONFLICT]


def test_what_fails_before_the_accounts_is_forgotten(scene: Scene) -> None:
    request = make_request()
    assert codes_of(scene.ask(replace(request, amount_minor=0))) == [ResultCode.AMOUNT_NOT_POSITIVE]
    assert codes_of(scene.ask(request)) == [ResultCode.NOT_AUTHORIZED]
    scene.allow(replace(request, amount_minor=5))
    assert codes_of(scene.ask(request)) == [ResultCode.DIGEST_MISMATCH]
    assert codes_of(scene.ask(replace(request, amount_minor=5))) == [ResultCode.ACCEPTED]


# Within one call ---------------------------------------------------------------------------------------------------------------


def test_the_second_of_two_gets_the_answer_of_the_first(scene: Scene) -> None:
    request = make_request()
    scene.allow(request)
    first, second, third = scene.ask(request, make_request(amount_minor=0), request)
    assert (first.code, second.code) == (ResultCode.ACCEPTED, ResultCode.AMOUNT_NOT_POSITIVE)
    assert third == replace(first, code=ResultCode.ALREADY_ACCEPTED)
    assert scene.balance(BOB).balance_minor == 100


def test_the_second_of_two_bodies_is_a_conflict(scene: Scene) -> None:
    request = make_request()
    scene.allow(request)
    assert codes_of(scene.ask(request, replace(request, amount_minor=5), request)) == [
        ResultCode.ACCEPTED, ResultCode.ID_CONFLICT, ResultCode.ALREADY_ACCEPTED,
    ]  # fmt: skip


def test_a_body_that_is_not_allowed_comes_before_the_one_that_is(scene: Scene) -> None:
    request = make_request()
    scene.allow(request)
    assert codes_of(scene.ask(replace(request, amount_minor=5), request)) == [
        ResultCode.DIGEST_MISMATCH, ResultCode.ACCEPTED,
    ]  # fmt: skip


def test_a_refusal_stays_within_the_call(scene: Scene) -> None:
    request, fund = make_request(debit=PURSE), make_request(debit=BANK, credit=PURSE)
    scene.allow(request, fund)
    results = scene.ask(request, fund, request, replace(request, amount_minor=1))
    assert codes_of(results) == [
        ResultCode.LIMIT_EXCEEDED, ResultCode.ACCEPTED, ResultCode.REFUSED_BEFORE, ResultCode.ID_CONFLICT,
    ]  # fmt: skip
    assert results[2].refused_code is ResultCode.LIMIT_EXCEEDED


def test_two_without_a_decision_are_both_told_so(scene: Scene) -> None:
    request = make_request()
    assert codes_of(scene.ask(request, request)) == [ResultCode.NOT_AUTHORIZED] * 2


def test_a_repeated_hold_and_its_repeated_answer(scene: Scene) -> None:
    hold = make_hold()
    post = make_post(hold)
    scene.allow(hold, post)
    assert codes_of(scene.ask(hold, hold, post, hold, post)) == [
        ResultCode.ACCEPTED, ResultCode.ALREADY_ACCEPTED, ResultCode.ACCEPTED, ResultCode.ALREADY_ACCEPTED,
        ResultCode.ALREADY_ACCEPTED,
    ]  # fmt: skip
