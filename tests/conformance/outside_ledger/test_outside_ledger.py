"""What an outside ledger has to do, whoever keeps it and however it is reached."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.errors import InvalidInput
from domain.transfer import MAX_AMOUNT_MINOR, MAX_BATCH, ResultCode, TransferKind
from ledger.outside.port import MAX_LINES
from ledger.port import AccountExists, BatchTooLarge, Side
from tests.conformance.ledger.scene import (
    ALICE,
    BOB,
    PURSE,
    chain,
    codes_of,
    make_hold,
    make_post,
    make_request,
    make_reversal,
    make_void,
    unknown_id,
)
from tests.conformance.outside_ledger.conftest import Outside

ACCEPTED = ResultCode.ACCEPTED


def test_opening_again_does_nothing_and_otherwise_is_a_conflict(outside: Outside) -> None:
    outside.door.open_account(PURSE, "EUR", debits_must_not_exceed_credits=True)
    with pytest.raises(AccountExists):
        outside.door.open_account(PURSE, "EUR")
    with pytest.raises(InvalidInput):
        outside.door.open_account("no such shape", "EUR")
    with pytest.raises(InvalidInput):
        outside.door.open_account(ALICE, "euro")
    assert outside.balance(PURSE).balance_minor == 0


def test_a_posting_moves_money_once_however_often_it_is_asked_for(outside: Outside) -> None:
    request = make_request(amount_minor=4990)
    (first,) = outside.put(request)
    (again,) = outside.door.apply([request])
    assert (first.code, again.code) == (ACCEPTED, ResultCode.ALREADY_ACCEPTED)
    assert replace(again, code=ACCEPTED) == first
    assert (first.amount_minor, first.debit_balance_after_minor, first.credit_balance_after_minor) == (4990, -4990, 4990)
    assert outside.balance(ALICE).balance_minor == -4990
    assert outside.balance(BOB).version == 1


def test_the_same_id_with_another_body_is_a_conflict(outside: Outside) -> None:
    request = make_request()
    outside.put(request)
    for other in (replace(request, amount_minor=99), replace(request, credit=PURSE), replace(request, kind=TransferKind.PENDING)):
        assert codes_of(outside.door.apply([other])) == [ResultCode.ID_CONFLICT]
    assert outside.balance(BOB).balance_minor == 100


def test_a_hold_is_in_the_balance_and_is_posted_in_part(outside: Outside) -> None:
    hold = make_hold(amount_minor=1000)
    outside.put(hold)
    held = outside.balance(ALICE)
    assert (held.debits_pending_minor, held.balance_minor) == (1000, 0)
    assert codes_of(outside.put(make_post(hold, amount_minor=1001))) == [ResultCode.EXCEEDS_HELD]
    assert codes_of(outside.put(make_post(hold, amount_minor=400))) == [ACCEPTED]
    assert (outside.balance(ALICE).debits_pending_minor, outside.balance(ALICE).balance_minor) == (0, -400)
    assert codes_of(outside.put(make_void(hold))) == [ResultCode.HOLD_POSTED]


def test_a_hold_is_voided(outside: Outside) -> None:
    hold = make_hold()
    outside.put(hold)
    assert codes_of(outside.put(make_void(hold))) == [ACCEPTED]
    assert outside.balance(ALICE).debits_pending_minor == 0
    assert codes_of(outside.put(make_post(hold))) == [ResultCode.HOLD_VOIDED]
    assert codes_of(outside.put(make_void(make_hold()))) == [ResultCode.TARGET_NOT_FOUND]


def test_a_posting_is_reversed_in_parts_and_never_more_than_is_left(outside: Outside) -> None:
    request = make_request(amount_minor=1000)
    outside.put(request)
    assert codes_of(outside.put(make_reversal(request, amount_minor=600))) == [ACCEPTED]
    assert codes_of(outside.put(make_reversal(request, amount_minor=401))) == [ResultCode.EXCEEDS_REVERSIBLE]
    assert codes_of(outside.put(make_reversal(request, amount_minor=400))) == [ACCEPTED]
    assert outside.balance(BOB).balance_minor == 0


def test_what_is_refused_moves_nothing_and_stays_refused(outside: Outside) -> None:
    request = make_request(debit=PURSE)
    assert codes_of(outside.put(request)) == [ResultCode.LIMIT_EXCEEDED]
    outside.put(make_request(debit=BOB, credit=PURSE, amount_minor=500))
    (again,) = outside.door.apply([request])
    assert (again.code, again.refused_code) == (ResultCode.REFUSED_BEFORE, ResultCode.LIMIT_EXCEEDED)
    assert outside.balance(PURSE).balance_minor == 500


def test_results_stand_in_the_order_of_the_requests(outside: Outside) -> None:
    good, poor, lost = make_request(), make_request(debit=PURSE, amount_minor=999), make_request(credit="customer:nobody")
    outside.allow(good, poor, lost)
    results = outside.door.apply([good, poor, good, lost])
    assert [result.transfer_id for result in results] == [one.transfer_id for one in (good, poor, good, lost)]
    assert codes_of(results) == [
        ACCEPTED, ResultCode.LIMIT_EXCEEDED, ResultCode.ALREADY_ACCEPTED, ResultCode.CREDIT_ACCOUNT_NOT_FOUND,
    ]  # fmt: skip
    assert outside.door.apply([]) == []


def test_a_chain_stands_or_falls_whole(outside: Outside) -> None:
    fallen = chain(make_request(), make_request(debit=PURSE))
    assert codes_of(outside.put(*fallen)) == [ResultCode.LINKED_FAILED, ResultCode.LIMIT_EXCEEDED]
    assert codes_of(outside.put(*chain(make_request(), make_request()))) == [ACCEPTED, ACCEPTED]
    assert outside.balance(BOB).balance_minor == 200
    assert codes_of(outside.door.apply([make_request(linked=True)])) == [ResultCode.CHAIN_OPEN]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount_minor": 0}, ResultCode.AMOUNT_NOT_POSITIVE), ({"amount_minor": -1}, ResultCode.AMOUNT_NOT_POSITIVE),
        ({"amount_minor": MAX_AMOUNT_MINOR + 1}, ResultCode.AMOUNT_OUT_OF_RANGE),
        ({"amount_minor": 2**63}, ResultCode.AMOUNT_OUT_OF_RANGE), ({"credit": ALICE}, ResultCode.ACCOUNTS_THE_SAME),
        ({"target_id": unknown_id()}, ResultCode.FIELDS_DO_NOT_FIT_KIND), ({}, ResultCode.NOT_AUTHORIZED),
    ],
)  # fmt: skip
def test_bad_requests_are_named_and_write_nothing(outside: Outside, changes: dict[str, Any], code: ResultCode) -> None:
    request = make_request(**changes)
    assert codes_of(outside.door.apply([request])) == [code]
    assert outside.door.find_transfer(request.transfer_id) is None
    assert outside.balance(ALICE).version == 0


@pytest.mark.parametrize("amount", [1.5, float("nan"), "100", True, None])
def test_what_is_no_amount_is_not_sent(outside: Outside, amount: Any) -> None:
    with pytest.raises(InvalidInput, match="amount_minor"):
        outside.door.apply([make_request(), make_request(amount_minor=amount)])
    assert outside.balance(ALICE).version == 0


def test_too_many_at_once(outside: Outside) -> None:
    with pytest.raises(BatchTooLarge):
        outside.door.apply([make_request()] * (MAX_BATCH + 1))


def test_a_transfer_is_found_as_it_was_written(outside: Outside) -> None:
    hold = make_hold(amount_minor=70)
    outside.put(hold)
    found = outside.door.find_transfer(hold.transfer_id)
    assert found is not None
    assert found == outside.ledger.find_transfer(hold.transfer_id)
    assert (found.kind, found.debit, found.amount_minor, found.code) == (TransferKind.PENDING, ALICE, 70, hold.code)
    assert outside.door.find_transfer(unknown_id()) is None
    assert outside.door.find_balance("customer:nobody", "EUR") is None
    assert outside.door.find_balance(ALICE, "USD") is None


def test_a_statement_is_read_by_cursor_with_its_running_balance(outside: Outside) -> None:
    requests = [make_request(amount_minor=amount) for amount in range(1, 8)]
    for request in requests:
        outside.put(request)
    lines, after = [], None
    while page := outside.door.list_entries(BOB, "EUR", after=after, limit=3):
        assert len(page) <= 3
        lines += page
        after = page[-1].version
    assert [line.transfer_id for line in lines] == [request.transfer_id for request in requests]
    assert [line.balance_after_minor for line in lines] == [1, 3, 6, 10, 15, 21, 28]
    assert {(line.side, line.other_account) for line in lines} == {(Side.CREDIT, ALICE)}
    assert lines == outside.ledger.list_entries(BOB, "EUR", after=None, limit=100)
    assert outside.door.list_entries("customer:nobody", "EUR", after=None, limit=10) == []
    for limit in (0, MAX_LINES + 1):
        with pytest.raises(InvalidInput):
            outside.door.list_entries(BOB, "EUR", after=None, limit=limit)
