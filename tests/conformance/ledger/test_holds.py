"""Holds: placed, posted in whole or in part, voided, expired; each resolved once and never for more than is held."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.errors import InvalidInput
from domain.transfer import ResultCode, TransferCode, TransferKind
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
    make_void,
)

_SOON = NOW + timedelta(minutes=5)


def test_a_hold_sets_aside_and_moves_nothing(scene: Scene) -> None:
    hold = make_hold(amount_minor=100)
    result = scene.do(hold)[0]
    assert (result.debit_version, result.credit_version) == (1, 1)
    assert (result.debit_balance_after_minor, result.credit_balance_after_minor) == (0, 0)
    alice, bob = scene.balance(ALICE), scene.balance(BOB)
    assert (alice.debits_pending_minor, alice.debits_posted_minor, alice.balance_minor) == (100, 0, 0)
    assert (bob.credits_pending_minor, bob.credits_posted_minor, bob.balance_minor) == (100, 0, 0)


@pytest.mark.parametrize("amount_minor", [100, 1])
def test_posting_frees_the_whole_hold_and_moves_the_amount(scene: Scene, amount_minor: int) -> None:
    hold = make_hold(amount_minor=100)
    scene.do(hold)
    post = make_post(hold, amount_minor=amount_minor)
    scene.do(post)
    alice = scene.balance(ALICE)
    assert (alice.debits_pending_minor, alice.debits_posted_minor, alice.version) == (0, amount_minor, 2)
    found = scene.ledger.find_hold(hold.transfer_id)
    assert found is not None
    assert (found.state, found.posted_minor, found.held_minor, found.resolved_by) == (
        "posted", amount_minor, 100, post.transfer_id,
    )  # fmt: skip


def test_no_more_is_posted_than_is_held(scene: Scene) -> None:
    hold = make_hold(amount_minor=100)
    scene.do(hold)
    assert codes_of(scene.put(make_post(hold, amount_minor=101))) == [ResultCode.EXCEEDS_HELD]
    assert scene.hold_state(hold) == "pending"
    scene.do(make_post(hold))


def test_a_hold_can_be_posted_when_the_account_has_no_other_room(scene: Scene) -> None:
    scene.fund(PURSE, 100)
    hold = make_hold(debit=PURSE, amount_minor=100)
    scene.do(hold)
    scene.do(make_post(hold))
    assert scene.balance(PURSE).balance_minor == 0


def test_voiding_frees_and_moves_nothing(scene: Scene) -> None:
    scene.fund(PURSE, 100)
    hold = make_hold(debit=PURSE, amount_minor=100)
    scene.do(hold)
    void = make_void(hold)
    assert scene.do(void)[0].amount_minor == 100
    assert scene.balance(PURSE).debits_pending_minor == 0
    assert scene.hold_state(hold) == "voided"
    scene.do(make_request(debit=PURSE, amount_minor=100))


def test_a_hold_is_resolved_once(scene: Scene) -> None:
    posted, voided, expired = make_hold(), make_hold(), make_hold(hold_expires_at=_SOON)
    scene.do(posted, voided, expired)
    scene.do(make_post(posted), make_void(voided))
    assert scene.ledger.expire_holds(now=_SOON) == 1
    for hold, code in (
        (posted, ResultCode.HOLD_POSTED), (voided, ResultCode.HOLD_VOIDED), (expired, ResultCode.HOLD_EXPIRED),
    ):  # fmt: skip
        before = scene.picture()
        assert codes_of(scene.put(make_post(hold), make_void(hold))) == [code, code]
        assert scene.picture() == before


def test_a_posted_transfer_is_no_hold(scene: Scene) -> None:
    moved, hold = make_request(), make_hold()
    post = make_post(hold)
    scene.do(moved, hold, post)
    for target in (moved, post):
        assert codes_of(scene.put(make_void(target), make_post(target))) == [ResultCode.TARGET_OF_ANOTHER_KIND] * 2


def test_an_answer_to_a_hold_names_its_accounts_and_its_amount(scene: Scene) -> None:
    hold = make_hold(amount_minor=100)
    scene.do(hold)
    for wrong in (
        make_post(hold, debit=BANK),
        make_post(hold, credit=BANK),
        make_void(hold, debit=BOB, credit=ALICE),
        make_void(hold, amount_minor=99),
        make_void(hold, amount_minor=101),
    ):
        assert codes_of(scene.put(wrong)) == [ResultCode.TARGET_MISMATCH]


def test_the_hold_of_another_currency_is_a_mismatch(scene: Scene) -> None:
    scene.ledger.open_account(ALICE, "USD")
    scene.ledger.open_account(BOB, "USD")
    hold = make_hold()
    scene.do(hold)
    assert codes_of(scene.put(make_post(hold, currency="USD"))) == [ResultCode.TARGET_MISMATCH]


def test_a_hold_and_its_answer_in_one_call(scene: Scene) -> None:
    first, second, third = make_hold(), make_hold(), make_hold()
    assert codes_of(
        scene.put(make_post(first), first, make_post(first), second, make_void(second), *chain(third, make_post(third)))
    ) == [ResultCode.TARGET_NOT_FOUND, *[ResultCode.ACCEPTED] * 6]


# Time --------------------------------------------------------------------------------------------------------------------------


def test_a_hold_lives_until_just_before_its_time(scene: Scene) -> None:
    first, second = make_hold(hold_expires_at=_SOON), make_hold(hold_expires_at=_SOON)
    scene.do(first, second)
    scene.do(make_post(first), now=_SOON - timedelta(microseconds=1))
    assert codes_of(scene.put(make_post(second), now=_SOON)) == [ResultCode.HOLD_EXPIRED]
    assert scene.hold_state(second) == "pending"


def test_a_hold_that_is_over_before_the_job_came_can_not_be_voided(scene: Scene) -> None:
    hold = make_hold(hold_expires_at=_SOON)
    scene.do(hold)
    assert codes_of(scene.put(make_void(hold), now=_SOON)) == [ResultCode.HOLD_EXPIRED]


def test_a_hold_without_a_time_stays(scene: Scene) -> None:
    hold = make_hold()
    scene.do(hold)
    assert scene.ledger.expire_holds(now=NOW + timedelta(days=40_000)) == 0
    assert scene.hold_state(hold) == "pending"


def test_expiry_releases_what_is_due_and_writes_it_down(scene: Scene) -> None:
    scene.fund(PURSE, 100)
    due, later = (
        make_hold(debit=PURSE, amount_minor=60, hold_expires_at=_SOON),
        make_hold(hold_expires_at=_SOON + timedelta(days=1)),
    )
    scene.do(due, later)
    before = scene.balance(PURSE)
    assert scene.ledger.expire_holds(now=_SOON - timedelta(microseconds=1)) == 0
    assert scene.ledger.expire_holds(now=_SOON) == 1
    assert scene.ledger.expire_holds(now=_SOON) == 0
    after = scene.balance(PURSE)
    assert (before.debits_pending_minor, after.debits_pending_minor) == (60, 0)
    assert after.version == before.version + 1
    found = scene.ledger.find_hold(due.transfer_id)
    assert found is not None
    assert found.state == "expired"
    assert found.resolved_by is not None
    expiry = scene.ledger.find_transfer(found.resolved_by)
    assert expiry is not None
    assert (expiry.kind, expiry.code, expiry.amount_minor, expiry.target_id, expiry.decision_id, expiry.recorded_at) == (
        TransferKind.EXPIRE, TransferCode.EXPIRY, 60, due.transfer_id, None, _SOON,
    )  # fmt: skip
    assert scene.hold_state(later) == "pending"


def test_the_longest_due_expire_first(scene: Scene) -> None:
    holds = [make_hold(hold_expires_at=_SOON + timedelta(seconds=second)) for second in (3, 1, 2)]
    scene.do(*holds)
    late = _SOON + timedelta(hours=1)
    assert scene.ledger.expire_holds(now=late, limit=2) == 2
    assert [scene.hold_state(hold) for hold in holds] == ["pending", "expired", "expired"]
    assert scene.ledger.expire_holds(now=late, limit=2) == 1
    with pytest.raises(InvalidInput):
        scene.ledger.expire_holds(now=late, limit=0)


def test_a_hold_expires_on_a_stopped_account_and_can_be_voided_there(scene: Scene) -> None:
    due, other = make_hold(hold_expires_at=_SOON), make_hold()
    scene.do(due, other)
    scene.ledger.stop_account(ALICE, "EUR")
    assert codes_of(scene.put(make_post(due))) == [ResultCode.ACCOUNT_STOPPED]
    scene.do(make_void(other))
    assert scene.ledger.expire_holds(now=_SOON) == 1


def test_a_hold_may_not_be_over_when_it_begins(scene: Scene) -> None:
    for moment in (NOW, NOW - timedelta(microseconds=1)):
        assert codes_of(scene.put(make_hold(hold_expires_at=moment))) == [ResultCode.FIELDS_DO_NOT_FIT_KIND]


def test_a_late_retry_of_a_hold_is_told_that_it_was_accepted(scene: Scene) -> None:
    """Whoever lost the answer must not read that nothing was written, because the hold has run out in the meantime."""
    hold = make_hold(hold_expires_at=_SOON)
    first = scene.do(hold)[0]
    again = scene.ask(hold, now=_SOON + timedelta(hours=1))[0]
    assert (again.code, again.recorded_at) == (ResultCode.ALREADY_ACCEPTED, first.recorded_at)
