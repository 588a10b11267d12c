"""What must hold however a transfer is asked for, alone or in a batch; after each test the books are counted over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from psycopg import Connection

from domain.ids import uuid_of
from domain.transfer import ResultCode, TransferCode, TransferKind, TransferRequest, TransferResult
from ledger.posting import post_transfer, post_transfers
from ledger.setup import close_account, define_account, stop_account
from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.books import find_faults
from tests.integration.ledger.house import ALICE, BANK, BOB, NOW, PURSE, House, make_answer, make_hold, make_request

LOAN = "customer:loan"
"""Its credits must not exceed its debits."""
Ask = Callable[..., list[TransferResult]]


def one_by_one(connection: Connection[Any], *requests: TransferRequest, now: Any = NOW) -> list[TransferResult]:
    return [post_transfer(connection, request, now=now) for request in requests]


def together(connection: Connection[Any], *requests: TransferRequest, now: Any = NOW) -> list[TransferResult]:
    return post_transfers(connection, requests, now=now)


@pytest.fixture(params=[one_by_one, together])
def ask(request: pytest.FixtureRequest, house: House) -> Ask:
    return lambda *requests, now=NOW: request.param(house.executor, *requests, now=now)


@pytest.fixture
def house(tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> Iterator[House]:
    house = House(tenant, conn_as, admin_conn)
    house.open_accounts()
    define_account(house.importer, LOAN, "EUR", credits_must_not_exceed_debits=True, now=NOW)
    house.bring_in(ALICE, 10_000)
    house.bring_in(PURSE, 1_000)
    house.bring_in(BANK, 1_000, debit=LOAN)
    yield house
    assert find_faults(admin_conn, tenant.tenant_id) == {}


def _codes(results: list[TransferResult]) -> list[ResultCode]:
    return [result.code for result in results]


def _balance(house: House, code: str) -> int:
    row = house.auditor.execute("SELECT balance_minor FROM ledger.account_balances WHERE code = %s", [code]).fetchone()
    assert row is not None
    return int(row[0])


# Ids -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("debit", "credit"), [(ALICE, BOB), (BOB, ALICE), (BANK, ALICE), (ALICE, BANK)])
def test_a_repeat_gets_the_stored_answer(house: House, ask: Ask, debit: str, credit: str) -> None:
    request = make_request(debit=debit, credit=credit)
    house.allow(request)
    (first,) = ask(request)
    assert first.code is ResultCode.ACCEPTED
    house.must_post(make_request(debit=debit, credit=credit))
    (again,) = ask(request, now=NOW + timedelta(days=3))
    assert again == replace(first, code=ResultCode.ALREADY_ACCEPTED)


@pytest.mark.parametrize(
    "change",
    [
        {"amount_minor": 101}, {"debit": PURSE}, {"credit": ALICE}, {"code": TransferCode.FEE}, {"linked": True},
    ],
)  # fmt: skip
def test_an_accepted_id_with_another_body_is_a_conflict(house: House, change: dict[str, Any]) -> None:
    request = make_request(credit=LOAN, debit=BOB)
    house.must_post(request)
    asked = [replace(request, **change)]
    if "linked" in change:
        asked.append(make_request())
    assert _codes(together(house.executor, *asked))[0] is ResultCode.ID_CONFLICT
    if "linked" not in change:
        assert _codes(one_by_one(house.executor, *asked)) == [ResultCode.ID_CONFLICT]


def test_what_was_refused_stays_refused(house: House, ask: Ask) -> None:
    request = make_request(debit=PURSE, amount_minor=1_001)
    house.allow(request)
    assert _codes(ask(request)) == [ResultCode.LIMIT_EXCEEDED]
    house.bring_in(PURSE, 5_000)
    (again,) = ask(request)
    assert (again.code, again.refused_code) == (ResultCode.REFUSED_BEFORE, ResultCode.LIMIT_EXCEEDED)
    assert _codes(ask(replace(request, amount_minor=1))) == [ResultCode.ID_CONFLICT]
    assert _balance(house, PURSE) == 6_000


def test_an_id_twice_in_one_call(house: House) -> None:
    request = make_request()
    house.allow(request)
    first, second, third = together(house.executor, request, request, replace(request, amount_minor=7))
    assert first.code is ResultCode.ACCEPTED
    assert second == replace(first, code=ResultCode.ALREADY_ACCEPTED)
    assert third.code is ResultCode.ID_CONFLICT


# Limits ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [ALICE, BANK, "house:zz:after", "customer:zz"])
@pytest.mark.parametrize("limited", [PURSE, LOAN])
def test_a_limit_holds_to_the_cent(house: House, ask: Ask, limited: str, other: str) -> None:
    """Whichever account stands first in the order of locking, and whether or not the other is rolled up."""
    define_account(house.importer, "house:zz:after", "EUR", rolled_up=True, now=NOW)
    define_account(house.importer, "customer:zz", "EUR", now=NOW)
    sides = {"debit": limited, "credit": other} if limited == PURSE else {"debit": other, "credit": limited}
    held = make_hold(**sides, amount_minor=400, hold_expires_at=NOW + timedelta(hours=1))
    over, exact, more = (make_request(**sides, amount_minor=amount) for amount in (601, 600, 1))
    house.allow(held, over, exact, more)
    assert _codes(ask(held)) == [ResultCode.ACCEPTED]
    assert _codes(ask(over)) == [ResultCode.LIMIT_EXCEEDED]
    assert _codes(ask(exact)) == [ResultCode.ACCEPTED]
    assert _codes(ask(more)) == [ResultCode.LIMIT_EXCEEDED]
    assert abs(_balance(house, limited)) == 400


@pytest.mark.parametrize("stop", [True, False])
@pytest.mark.parametrize("account", [BOB, BANK, ALICE])
def test_a_closed_or_stopped_account_takes_nothing(house: House, ask: Ask, account: str, stop: bool) -> None:
    """On either side."""
    if stop:
        stop_account(house.jobs, account, "EUR", reason="drift", now=NOW)
    else:
        close_account(house.importer, account, "EUR", now=NOW)
    expected = ResultCode.ACCOUNT_STOPPED if stop else ResultCode.ACCOUNT_CLOSED
    for sides in ({"debit": account, "credit": LOAN}, {"debit": PURSE, "credit": account}):
        request = make_request(**sides)
        house.allow(request)
        assert _codes(ask(request)) == [expected]


def test_an_unknown_account_takes_nothing(house: House, ask: Ask) -> None:
    for change, code in (
        ({"debit": "customer:nobody"}, ResultCode.DEBIT_ACCOUNT_NOT_FOUND),
        ({"credit": "customer:nobody"}, ResultCode.CREDIT_ACCOUNT_NOT_FOUND),
        ({"credit": "house:no:such"}, ResultCode.CREDIT_ACCOUNT_NOT_FOUND),
        ({"currency": "USD"}, ResultCode.DEBIT_ACCOUNT_NOT_FOUND),
    ):
        request = make_request(**change)
        house.allow(request)
        assert _codes(ask(request)) == [code]


# Decisions -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("debit", "credit"), [(ALICE, BOB), (BOB, ALICE), (BANK, ALICE), (ALICE, BANK), (BANK, "house:fees:x")])
def test_nothing_moves_without_a_decision(house: House, ask: Ask, debit: str, credit: str) -> None:
    define_account(house.importer, "house:fees:x", "EUR", rolled_up=True, now=NOW)
    before = [_balance(house, code) for code in (debit, credit)]
    assert _codes(ask(make_request(debit=debit, credit=credit))) == [ResultCode.NOT_AUTHORIZED]
    assert [_balance(house, code) for code in (debit, credit)] == before


@pytest.mark.parametrize(
    "change",
    [
        {"amount_minor": 101}, {"debit": BANK}, {"credit": BANK}, {"code": TransferCode.FEE}, {"debit": BOB, "credit": ALICE},
        {"kind": TransferKind.PENDING}, {"kind": TransferKind.PENDING, "hold_expires_at": NOW + timedelta(hours=1)},
    ],
)  # fmt: skip
def test_a_decision_allows_its_own_body_alone(house: House, ask: Ask, change: dict[str, Any]) -> None:
    request = make_request()
    house.allow(request)
    assert _codes(ask(replace(request, **change))) == [ResultCode.DIGEST_MISMATCH]
    assert _codes(ask(request)) == [ResultCode.ACCEPTED]


def test_a_decision_lives_from_its_first_moment_to_before_its_last(house: House, ask: Ask) -> None:
    early, late, last = make_request(), make_request(), make_request()
    house.allow(early, late, last)
    tick = timedelta(microseconds=1)
    assert _codes(ask(early, now=NOW - tick)) == [ResultCode.DECISION_NOT_YET_VALID]
    assert _codes(ask(late, now=NOW + timedelta(seconds=60))) == [ResultCode.DECISION_EXPIRED]
    assert _codes(ask(last, now=NOW + timedelta(seconds=60) - tick)) == [ResultCode.ACCEPTED]


def test_the_servers_clock_ends_a_decision_too(house: House, ask: Ask) -> None:
    request = make_request()
    house.allow(request)
    house.admin.execute(
        "UPDATE gate.authorizations SET recorded_at = recorded_at - INTERVAL '60 seconds' WHERE transfer_id = %s",
        [request.transfer_id],
    )
    assert _codes(ask(request)) == [ResultCode.DECISION_EXPIRED]


def test_superseding_takes_the_authorization_back(house: House, ask: Ask) -> None:
    scene = house.scene
    decided = scene.decide(None, outcome="hold", transfer_id=None, transfer_digest=None)
    house.decision_id = uuid_of(decided.decision_id)
    request = make_request()
    house.allow(request)
    scene.decide(None, outcome="deny", transfer_id=None, transfer_digest=None, previous=decided)
    assert _codes(ask(request)) == [ResultCode.NOT_AUTHORIZED]


def test_in_a_chain_no_decision_is_used_unless_all_are(house: House) -> None:
    allowed, unknown = make_request(linked=True), make_request()
    house.allow(allowed)
    assert _codes(together(house.executor, allowed, unknown)) == [ResultCode.LINKED_FAILED, ResultCode.NOT_AUTHORIZED]
    house.allow(unknown)
    assert _codes(together(house.executor, allowed, unknown)) == [ResultCode.ACCEPTED] * 2


# What is written -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_broken_chain_leaves_nothing(house: House, broken: int) -> None:
    """Holds, rolled-up accounts, reversals and balances before and after it are as if it had never come."""
    paid = make_request()
    hold = make_hold(debit=PURSE, amount_minor=300, hold_expires_at=NOW + timedelta(hours=1))
    house.must_post(paid, hold)
    legs = [
        make_answer(hold, TransferKind.POST, amount_minor=200),
        make_answer(paid, TransferKind.REVERSE, amount_minor=60),
        make_request(debit=BANK, credit=ALICE),
    ]
    legs.insert(broken, make_request(debit=PURSE, credit=ALICE, amount_minor=100_000))
    legs = [replace(leg, linked=place < len(legs) - 1) for place, leg in enumerate(legs)]
    before, after = make_request(amount_minor=3), make_request(amount_minor=4)
    house.allow(before, *legs, after)
    codes = _codes(together(house.executor, before, *legs, after))
    assert codes[0] is codes[-1] is ResultCode.ACCEPTED
    assert [code is ResultCode.LIMIT_EXCEEDED for code in codes[1:-1]] == [place == broken for place in range(4)]
    assert codes.count(ResultCode.LINKED_FAILED) == 3
    assert (_balance(house, ALICE), _balance(house, BOB), _balance(house, PURSE)) == (10_000 - 100 - 7, 107, 1_000)
    rest = [make_answer(hold, TransferKind.POST), make_answer(paid, TransferKind.REVERSE)]
    house.must_post(*rest)
    assert (_balance(house, ALICE), _balance(house, PURSE)) == (10_000 - 7, 700)


def test_a_transfer_is_reversed_in_parts_up_to_itself(house: House, ask: Ask) -> None:
    for debit, credit in ((ALICE, BOB), (BANK, ALICE)):
        paid = make_request(debit=debit, credit=credit)
        house.must_post(paid)
        parts = [make_answer(paid, TransferKind.REVERSE, amount_minor=amount) for amount in (60, 41, 40, 1)]
        house.allow(*parts)
        codes = [ResultCode.ACCEPTED, ResultCode.EXCEEDS_REVERSIBLE, ResultCode.ACCEPTED, ResultCode.EXCEEDS_REVERSIBLE]
        assert _codes(ask(*parts)) == codes


def test_a_hold_is_answered_once_and_for_no_more(house: House, ask: Ask) -> None:
    hold = make_hold(debit=PURSE, amount_minor=300, hold_expires_at=NOW + timedelta(hours=1))
    answers = [
        make_answer(hold, TransferKind.POST, amount_minor=301),
        make_answer(hold, TransferKind.POST, amount_minor=100),
        make_answer(hold, TransferKind.VOID),
        make_answer(hold, TransferKind.POST, amount_minor=100),
        make_request(debit=PURSE, amount_minor=900),
    ]
    house.allow(hold, *answers)
    codes = [ResultCode.ACCEPTED, ResultCode.EXCEEDS_HELD, ResultCode.ACCEPTED, ResultCode.HOLD_POSTED, ResultCode.HOLD_POSTED]
    assert _codes(ask(hold, *answers)) == [*codes, ResultCode.ACCEPTED]
    assert _balance(house, PURSE) == 0


def test_a_hold_ends_with_its_time(house: House, ask: Ask) -> None:
    ends = NOW + timedelta(seconds=30)
    hold = make_hold(debit=PURSE, amount_minor=300, hold_expires_at=ends)
    post, void = make_answer(hold, TransferKind.POST), make_answer(hold, TransferKind.VOID)
    house.must_post(hold)
    house.allow(post, void)
    assert _codes(ask(post, void, now=ends)) == [ResultCode.HOLD_EXPIRED] * 2


def test_offenders_do_not_stop_the_rest(house: House) -> None:
    """Order numbers and balances after each entry are those of the accepted ones alone."""
    wishes: list[dict[str, Any]] = [
        {"amount_minor": 400},
        {"amount_minor": 700},
        {},
        {"credit": "customer:nobody"},
        {"amount_minor": 500},
    ]
    requests = [make_request(debit=PURSE, **wish) for wish in wishes]
    house.allow(*requests)
    results = together(house.executor, *requests)
    refused = {1: ResultCode.LIMIT_EXCEEDED, 3: ResultCode.CREDIT_ACCOUNT_NOT_FOUND}
    assert _codes(results) == [refused.get(place, ResultCode.ACCEPTED) for place in range(5)]
    assert [result.debit_balance_after_minor for result in results] == [600, None, 500, None, 0]
