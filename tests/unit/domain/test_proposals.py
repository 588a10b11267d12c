"""A proposal has exactly the arguments of its kind, and an action's digest covers all that it says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from domain.proposal import ARGUMENTS_OF, MONEY_KINDS, Action, ActionKind, ModelTrace, Proposal

_VALUES: dict[str, Any] = {
    "transaction": "T1", "account": "A1", "beneficiary": "B1", "card": "C1", "dispute": "D1", "hold": "H1", "case": "K1",
    "amount_minor": 100, "currency": "EUR", "details": "<IBAN_DE_0a1b2c3d-4e>", "verdict": "clear",
}  # fmt: skip
_TRACE = ModelTrace(prompt_id="x", prompt_sha256="0" * 64, masked_prompt_sha256="0" * 64, model="none", generated_by="template")


def _propose(kind: ActionKind, arguments: dict[str, Any]) -> Proposal:
    return Proposal(
        proposal_id="prp_" + "a" * 32,
        tenant_id="demo",
        conversation_id="cnv_" + "a" * 32,
        message_id="msg_" + "a" * 32,
        kind=kind,
        arguments={**arguments, "reason_code": "other"},
        trace=_TRACE,
        submitted_at=datetime(2026, 3, 2, tzinfo=UTC),
    )


@pytest.mark.parametrize("kind", sorted(ARGUMENTS_OF))
def test_each_kind_takes_its_arguments_no_fewer_and_no_more(kind: ActionKind) -> None:
    whole = {name: _VALUES[name] for name in ARGUMENTS_OF[kind]}
    assert _propose(kind, whole).arguments.to_record() == {**whole, "reason_code": "other"}
    for name in whole:
        with pytest.raises(ValidationError, match=f"{kind.value} takes"):
            _propose(kind, {other: value for other, value in whole.items() if other != name})
    for name in _VALUES.keys() - whole.keys():
        with pytest.raises(ValidationError, match=f"{kind.value} takes"):
            _propose(kind, {**whole, name: _VALUES[name]})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount_minor", 0), ("amount_minor", -1), ("amount_minor", 10**15 + 1), ("amount_minor", 1.0), ("amount_minor", "1"),
        ("amount_minor", True), ("currency", "eur"), ("transaction", "acc_1"), ("transaction", "t1"),
    ],
)  # fmt: skip
def test_a_value_out_of_its_form_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        _propose(ActionKind.REFUND, {"transaction": "T1", "amount_minor": 1, "currency": "EUR", name: value})


@pytest.mark.parametrize("details", ["DE89370400440532013000", "<IBAN>", "<iban_0a1b2c3d-4e>", "<IBAN_0a1b2c3d-4e> "])
def test_a_payee_s_details_are_a_token_and_never_a_value(details: str) -> None:
    with pytest.raises(ValidationError):
        _propose(ActionKind.BENEFICIARY_CHANGE, {"beneficiary": "B1", "details": details})


def test_a_kind_that_nobody_listed_takes_anything() -> None:
    assert _propose(ActionKind.UNLISTED, _VALUES).arguments.verdict == "clear"
    assert set(ActionKind) == {*ARGUMENTS_OF, ActionKind.UNLISTED}
    assert set(ARGUMENTS_OF) >= MONEY_KINDS


def test_the_digest_of_an_action_covers_every_field() -> None:
    plain = Action(
        tenant_id="demo",
        proposal_id="prp_1",
        kind=ActionKind.PAYMENT,
        transaction_id=None,
        customer_id="cus_1",
        account_id="acc_1",
        amount_minor=1,
        currency="EUR",
        reason_code="bill",
    )
    digests = {plain.digest()}
    for name in Action.model_fields:
        value = {"kind": ActionKind.REFUND, "amount_minor": 2}.get(name, "other")
        digests.add(plain.model_copy(update={name: value}).digest())
    assert len(digests) == len(Action.model_fields) + 1
