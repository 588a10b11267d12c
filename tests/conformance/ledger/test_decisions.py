"""Nothing moves without a live decision on exactly this request, and each decision is used once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.errors import InvalidInput, NotFound
from domain.ids import is_id
from domain.transfer import Balancing, ResultCode, TransferCode, TransferKind
from ledger.port import AlreadyUsed
from tests.conformance.ledger.implementations import MakeLedger
from tests.conformance.ledger.scene import ALICE, BANK, BOB, LIFETIME, NOW, PURSE, Scene, chain, codes_of, make_request

_TICK = timedelta(microseconds=1)


def test_an_accepted_transfer_names_its_decision(scene: Scene) -> None:
    request = make_request()
    decision_id = scene.allow(request)
    assert is_id(decision_id, "dec")
    scene.ask(request)
    found = scene.ledger.find_transfer(request.transfer_id)
    assert found is not None
    assert found.decision_id == decision_id


def test_without_a_decision_nothing_moves(scene: Scene) -> None:
    before = scene.picture()
    assert codes_of(scene.ask(make_request())) == [ResultCode.NOT_AUTHORIZED]
    assert scene.picture() == before


def test_a_decision_lives_from_its_begin_until_before_its_end(scene: Scene) -> None:
    first, second = make_request(), make_request()
    scene.allow(first, second)
    assert codes_of(scene.ask(first, now=NOW - _TICK)) == [ResultCode.DECISION_NOT_YET_VALID]
    assert codes_of(scene.ask(first, now=NOW + LIFETIME)) == [ResultCode.DECISION_EXPIRED]
    assert codes_of(scene.ask(first, now=NOW)) == [ResultCode.ACCEPTED]
    assert codes_of(scene.ask(second, now=NOW + LIFETIME - _TICK)) == [ResultCode.ACCEPTED]


_OTHER_BODIES: list[dict[str, Any]] = [
    {"amount_minor": 101},
    {"debit": BANK},
    {"credit": BANK},
    {"currency": "USD"},
    {"code": TransferCode.FEE},
    {"kind": TransferKind.PENDING},
    {"kind": TransferKind.PENDING, "hold_expires_at": NOW + timedelta(days=1)},
    {"kind": TransferKind.REVERSE, "target_id": uuid4()},
    {"balancing": Balancing.DEBIT},
    {"balancing": Balancing.CREDIT},
]


@pytest.mark.parametrize("change", _OTHER_BODIES, ids="-".join)
def test_a_decision_allows_one_body(scene: Scene, change: dict[str, Any]) -> None:
    request = make_request()
    scene.allow(request)
    before = scene.picture()
    assert codes_of(scene.ask(replace(request, **change))) == [ResultCode.DIGEST_MISMATCH]
    assert scene.picture() == before
    assert codes_of(scene.ask(request)) == [ResultCode.ACCEPTED]


def test_a_decision_on_a_single_request_allows_no_chain(scene: Scene) -> None:
    request, other = make_request(), make_request()
    scene.allow(request, other)
    assert codes_of(scene.ask(*chain(request, other))) == [ResultCode.DIGEST_MISMATCH, ResultCode.LINKED_FAILED]


def test_superseding_takes_back_what_was_not_used(scene: Scene) -> None:
    used, unused, other = make_request(), make_request(), make_request()
    decision_id = scene.allow(used, unused)
    scene.allow(other)
    scene.ask(used)
    scene.ledger.supersede(decision_id)
    assert codes_of(scene.ask(unused, other, used)) == [
        ResultCode.NOT_AUTHORIZED, ResultCode.ACCEPTED, ResultCode.ALREADY_ACCEPTED,
    ]  # fmt: skip
    assert codes_of(scene.put(unused)) == [ResultCode.ACCEPTED]


def test_superseding_twice_takes_nothing_from_the_next_decision(scene: Scene) -> None:
    request = make_request()
    decision_id = scene.allow(request)
    scene.ledger.supersede(decision_id)
    scene.allow(request)
    scene.ledger.supersede(decision_id)
    assert codes_of(scene.ask(request)) == [ResultCode.ACCEPTED]


def test_a_decision_that_never_was_can_not_be_superseded(scene: Scene) -> None:
    with pytest.raises(NotFound):
        scene.ledger.supersede(f"dec_{uuid4().hex}")


def test_an_answered_id_is_never_allowed_again(scene: Scene) -> None:
    accepted, refused, fresh = make_request(), make_request(debit=PURSE), make_request()
    assert codes_of(scene.put(accepted, refused)) == [ResultCode.ACCEPTED, ResultCode.LIMIT_EXCEEDED]
    for used in (accepted, refused):
        for body in (used, replace(used, amount_minor=7)):
            with pytest.raises(AlreadyUsed):
                scene.allow(fresh, body)
    assert codes_of(scene.ask(fresh)) == [ResultCode.NOT_AUTHORIZED]


def test_an_id_stands_in_one_decision_at_a_time(scene: Scene) -> None:
    request = make_request()
    scene.allow(request)
    with pytest.raises(AlreadyUsed):
        scene.allow(replace(request, amount_minor=7), now=NOW + LIFETIME)
    assert codes_of(scene.ask(request)) == [ResultCode.ACCEPTED]


def test_a_decision_names_something_once_and_has_a_time(scene: Scene) -> None:
    request = make_request()
    with pytest.raises(InvalidInput):
        scene.ledger.authorize([], valid_from=NOW, valid_until=NOW + LIFETIME)
    with pytest.raises(InvalidInput):
        scene.allow(request, replace(request, amount_minor=7))
    with pytest.raises(InvalidInput):
        scene.ledger.authorize([request], valid_from=NOW, valid_until=NOW)
    assert codes_of(scene.ask(request)) == [ResultCode.NOT_AUTHORIZED]


def test_a_decision_of_another_tenant_allows_nothing(make_ledger: MakeLedger) -> None:
    ours, theirs = Scene(make_ledger()), Scene(make_ledger())
    request = make_request()
    theirs.allow(request)
    assert codes_of(ours.ask(request)) == [ResultCode.NOT_AUTHORIZED]
    assert codes_of(ours.put(request)) == [ResultCode.ACCEPTED]
    assert codes_of(theirs.ask(request)) == [ResultCode.ACCEPTED]
    assert ours.balance(BOB) == theirs.balance(BOB)
    assert ours.balance(ALICE).version == 1
