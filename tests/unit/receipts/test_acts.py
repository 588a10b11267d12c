"""Receipts of every kind of act: what the verifier accepts, and the lies about accounts, holds and releases that it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain.proposal import Action, ActionKind
from tests.unit.receipts.paper_acts import MONEY_KINDS, MONEYLESS_KINDS, NEXT_SIGNER, Way, make_act, sign_note
from tests.unit.receipts.paper_log import SIGNER, load_verifier, make_file, make_receipt

_VERIFIER = load_verifier()
_KEY = _VERIFIER.parse_key(SIGNER.verifier_key)
_NEXT_KEY = _VERIFIER.parse_key(NEXT_SIGNER.verifier_key)
_GOLDEN = Path(__file__).parents[2] / "golden" / "receipts"
_GOLDEN_ACTS: list[tuple[str, str, Way]] = [
    ("payment_held", "payment", "held"),
    ("fee_reversal", "fee_reversal", "allow"),
    ("hold_release", "hold_release", "approved"),
    ("card_block", "card_block", "allow"),
]


def _refusal(records: list[dict[str, Any]]) -> str:
    with pytest.raises(_VERIFIER.Refused) as caught:
        _VERIFIER.verify(make_file(records), _KEY)
    return str(caught.value)


@pytest.mark.parametrize("kind", MONEY_KINDS)
@pytest.mark.parametrize("way", ["allow", "approved", "held"])
def test_each_kind_of_money_is_verified(kind: str, way: Way) -> None:
    proved = _VERIFIER.verify(make_file(make_act(kind, way)), _KEY)
    assert proved["posting"]["amount_minor"] == 4990
    assert (proved["hold"] is None) == (way != "held")
    assert any(line.startswith("posting    tfr_") for line in _VERIFIER.write_lines(proved))


@pytest.mark.parametrize("kind", MONEYLESS_KINDS)
def test_an_act_without_money_is_verified(kind: str) -> None:
    proved = _VERIFIER.verify(make_file(make_act(kind, "approved")), _KEY)
    assert (proved["posting"], proved["executed_at"]) == (None, "2026-03-02T12:00:02.000000Z")


def test_a_released_hold_is_verified() -> None:
    proved = _VERIFIER.verify(make_file(make_act("hold_release", "approved")), _KEY)
    assert (proved["posting"], proved["released"]["amount_minor"]) == (None, 4990)


@pytest.mark.parametrize(("name", "kind", "way"), _GOLDEN_ACTS)
def test_golden_acts_stay_valid_and_are_still_written_the_same(name: str, kind: str, way: Way) -> None:
    content = (_GOLDEN / f"{name}.json").read_bytes()
    assert _VERIFIER.verify(content, _KEY)["verified"] is True
    assert make_file(make_act(kind, way)) == content


def test_the_verifier_knows_every_kind_that_can_be_executed() -> None:
    known = {*_VERIFIER.PLANS, *_VERIFIER.MONEYLESS, "hold_release"}
    assert known == {kind.value for kind in ActionKind} - {"unlisted"}
    assert set(Action.model_fields) >= {"subject_id", "beneficiary_id"}


def _edit(event_type: str, name: str, value: Any) -> Callable[[list[dict[str, Any]]], None]:
    def change(records: list[dict[str, Any]]) -> None:
        next(record for record in reversed(records) if record["event_type"] == event_type)["data"][name] = value

    return change


def _drop(place: int) -> Callable[[list[dict[str, Any]]], None]:
    return lambda records: records.pop(place)  # type: ignore[return-value]


_POSTED, _PLACED, _HELD, _VOIDED = (f"ledger.{name}" for name in ("transfer_posted", "hold_placed", "hold_posted", "hold_voided"))
_LIES: list[tuple[str, Way, Callable[[list[dict[str, Any]]], None], str]] = [
    ("payment", "allow", _edit(_POSTED, "credit", "house:bank:other:EUR"), "the posting credits another account"),
    ("payment", "allow", _edit(_POSTED, "debit", "customer:acc_2"), "the posting debits another account"),
    ("payment", "allow", _edit(_POSTED, "code", "refund"), "the posting is of another kind of act"),
    ("payment", "allow", _edit(_POSTED, "transfer_digest", "0" * 64), "the posting's digest is not that of the decision"),
    (
        "payment",
        "allow",
        _edit(_POSTED, "debit_balance_after_minor", None),
        "the posting's debit_balance_after_minor is no integer",
    ),
    ("payment", "allow", _edit(_POSTED, "target_id", "tfr_" + "9" * 32), "a posting without a decision that allows it"),
    ("goodwill_credit", "allow", _edit(_POSTED, "debit", "house:refunds:EUR"), "the posting debits another account"),
    ("dispute_writeoff", "allow", _edit(_POSTED, "amount_minor", 1), "posting and action: amount_minor differs"),
    ("payment", "held", _edit(_HELD, "target_id", "tfr_" + "9" * 32), "a posting without a decision that allows it"),
    (
        "payment",
        "held",
        _edit("gate.decided", "hold_transfer_id", "tfr_" + "9" * 32),
        "a posting without a decision that allows it",
    ),
    ("payment", "held", _edit("gate.decided", "hold_transfer_id", None), "a posting without a decision that allows it"),
    ("payment", "held", _drop(3), "a hold was posted that was not placed for this proposal"),
    ("payment", "held", _drop(-1), "what the decision led to is left out"),
    ("payment", "holding", _edit("gate.decided", "outcome", "allow"), "a hold without a decision that holds"),
    ("payment", "holding", _edit(_PLACED, "amount_minor", 1), "posting and action: amount_minor differs"),
    ("payment", "holding", _drop(-1), "what the decision led to is left out"),
    ("refund", "allow", _drop(-1), "what the decision led to is left out"),
    ("hold_release", "approved", _edit(_VOIDED, "target_id", "tfr_" + "9" * 32), "another hold was released"),
    ("hold_release", "approved", _edit(_VOIDED, "debit", "customer:acc_2"), "the released hold is of another account"),
    ("card_block", "allow", _edit("gate.executed", "transfer_digest", "0" * 64), "the act's digest is not that of the decision"),
    ("card_block", "allow", _edit("gate.executed", "decision_id", "dec_x"), "posting and decision: decision_id differs"),
    ("card_block", "allow", _edit("gate.decided", "outcome", "deny"), "a posting without a decision that allows it"),
]


@pytest.mark.parametrize(("kind", "way", "change", "reason"), _LIES)
def test_a_lie_about_an_act_is_refused_though_it_is_signed(
    kind: str, way: Way, change: Callable[[list[dict[str, Any]]], None], reason: str
) -> None:
    records = make_act(kind, way)
    change(records)
    assert _refusal(records) == reason


def test_an_act_of_another_kind_than_decided_is_refused() -> None:
    payment, block = make_act("payment"), make_act("card_block")
    posting = {**payment[-1], "data": {**payment[-1]["data"], **block[-1]["data"]}}
    assert _refusal([*block[:-1], posting]) == "a posting without a decision that allows it"


def test_an_allow_that_was_closed_shows_the_decision_that_closed_it() -> None:
    records = make_act("payment")[:-1]
    closing = make_act("payment", "held")[4]
    closed = {**closing["data"], "outcome": "deny", "hold_transfer_id": None}
    records.append({**closing, "data": closed})
    receipt = make_receipt(records)
    content = receipt.model_copy(update={"decision_id": records[2]["subject"]})
    from gates.receipts.export import render_receipt

    proved = _VERIFIER.verify(render_receipt(content), _KEY)
    assert (proved["decision"]["outcome"], proved["posting"]) == ("allow", None)
    assert proved["decision"]["closed_by"] == closing["subject"]


# Several keys ----------------------------------------------------------------------------------------------------------------


def test_a_receipt_of_before_and_at_a_change_of_keys_verifies_with_either() -> None:
    records = make_act("payment")
    note = sign_note(records, (SIGNER, NEXT_SIGNER))
    for keys in ((_KEY,), (_NEXT_KEY,), (_KEY, _NEXT_KEY)):
        assert _VERIFIER.check_checkpoint(note, *keys).size == len(records)
    assert _VERIFIER.verify(make_file(records), _KEY, _NEXT_KEY)["verified"] is True
    with pytest.raises(_VERIFIER.Refused, match="not signed by the key tellergate"):
        _VERIFIER.verify(make_file(records), _NEXT_KEY)


def test_a_second_signature_that_is_wrong_is_refused() -> None:
    note = sign_note(make_act("payment"), (SIGNER, NEXT_SIGNER))
    foreign = sign_note(make_act("refund"), (NEXT_SIGNER,)).splitlines(keepends=True)[-1]
    first = "".join(note.splitlines(keepends=True)[:-1])
    for wrong, reason in ((first + foreign, "not valid"), (first + first.splitlines(keepends=True)[-1], "one key signed twice")):
        with pytest.raises(_VERIFIER.Refused, match=reason):
            _VERIFIER.check_checkpoint(wrong, _KEY, _NEXT_KEY)


def test_a_key_file_has_one_key_a_line() -> None:
    text = f"{SIGNER.verifier_key}\n{NEXT_SIGNER.verifier_key}\n"
    assert _VERIFIER.parse_keys(text) == [_KEY, _NEXT_KEY]
    for wrong in ("", "\n\n", text + "x\n"):
        with pytest.raises(_VERIFIER.Unusable):
            _VERIFIER.parse_keys(wrong)
