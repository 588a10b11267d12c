"""A claim that our records do not confirm waits for a person, unless the operator named the transaction himself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.decision import Outcome
from domain.proposal import ReasonCode
from tests.integration.gates.desk import BEN, Desk, Turn, codes_of

_UNCONFIRMED = ["claim_unconfirmed", "within_policy"]


@pytest.mark.parametrize("reason_code", [code.value for code in ReasonCode if code is not ReasonCode.DUPLICATE_CHARGE])
def test_a_claim_of_the_proposer_alone_pays_nothing(desk: Desk, reason_code: str) -> None:
    # Even a true duplicate: claimed as something else, it is a claim that no record confirms.
    for charges in ([desk.add_charge()], [desk.add_charge(4_000, minutes=2), desk.add_charge(4_000)]):
        amount_minor = 1290 if len(charges) == 1 else 4_000
        decision = desk.decide_refund(desk.add_turn(charges), amount_minor=amount_minor, reason_code=reason_code)
        assert (decision.outcome, codes_of(decision)) == (Outcome.REVIEW, _UNCONFIRMED)
        assert decision.facts["transaction.named_by_staff"] is False


@pytest.mark.parametrize(
    ("value", "kind", "origin", "named"),
    [
        ("T1", "handle", "staff", True),
        ("T2", "handle", "staff", False),
        ("T1", "handle", "customer_text", False),
        ("T1", "token", "staff", False),
        ("A1", "handle", "staff", False),
    ],
)
def test_only_its_own_handle_in_the_operator_s_words_names_it(
    desk: Desk, value: str, kind: str, origin: str, named: bool
) -> None:
    turn = desk.add_turn([desk.add_charge(), desk.add_charge(2_000)])
    desk.add_mention(turn, value, kind=kind, origin=origin)
    decision = desk.decide_refund(turn, reason_code="goods_not_received")
    assert decision.facts["transaction.named_by_staff"] is named
    assert codes_of(decision) == (["within_policy"] if named else _UNCONFIRMED)


def test_an_earlier_message_or_another_conversation_does_not_name_it(desk: Desk) -> None:
    charge = desk.add_charge()
    turn = desk.add_turn([charge])
    desk.add_mention(turn, "T1", kind="handle", origin="staff")
    soon = desk.now + timedelta(seconds=1)
    later = Turn(turn.conversation_id, desk.add_message(turn.conversation_id, at=soon))
    assert codes_of(desk.decide(desk.propose(later, reason_code="other"), now=soon)) == _UNCONFIRMED

    other = desk.add_turn([charge], operator_id=BEN)
    desk.add_mention(other, "T1", kind="handle", origin="staff")
    borrowed = desk.decide_refund(Turn(turn.conversation_id, other.message_id), reason_code="other")
    assert borrowed.outcome is Outcome.DENY
    assert borrowed.facts["transaction.named_by_staff"] is False
