"""A decision has one transfer id, and its digest has one known value."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

import pytest

from domain.ids import InvalidId
from domain.proposal import Action, ActionKind
from ledger.transfer_digest import derive_transfer_id, digest_act, digest_refund

_ACTION = Action(
    tenant_id="demo",
    proposal_id="prp_" + "a" * 32,
    kind=ActionKind.REFUND,
    transaction_id="txn_5f2c81a09b44",
    customer_id="cus_0a1b2c3d4e5f",
    account_id="acc_00ff00ff00ff",
    amount_minor=4990,
    currency="EUR",
    reason_code="duplicate_charge",
)


def test_the_transfer_id_is_a_uuid7_of_the_decisions_time() -> None:
    derived = derive_transfer_id("dec_0195a1b2c3d47e5f8a9b0c1d2e3f4a5b")
    assert derived == derive_transfer_id("dec_0195a1b2c3d47e5f8a9b0c1d2e3f4a5b")
    assert (derived.version, derived.variant) == (7, "specified in RFC 4122")
    assert derived.hex.startswith("0195a1b2c3d4")
    assert derived != derive_transfer_id("dec_0195a1b2c3d47e5f8a9b0c1d2e3f4a5c")
    assert derive_transfer_id("dec_" + "f" * 32).version == 7


@pytest.mark.parametrize("text", ["", "dec_", "prp_" + "a" * 32, "dec_" + "A" * 32, "dec_" + "a" * 33])
def test_what_is_no_decision_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidId):
        derive_transfer_id(text)


def test_the_digest_is_over_what_moves() -> None:
    decision_id = "dec_" + "c" * 32
    known = digest_refund(_ACTION, decision_id)
    assert known is not None
    assert known.hex() == "be93da3aef4a96952c7eb43ccdca48ce88b7ff6f57672c9d4fd800bf6985f509"
    changes = {"tenant_id": "other", "transaction_id": "txn_1", "account_id": "acc_1", "amount_minor": 4991, "currency": "USD"}
    for name, value in changes.items():
        assert digest_refund(_ACTION.model_copy(update={name: value}), decision_id) != known, name
    assert digest_refund(_ACTION, "dec_" + "d" * 32) != known
    assert digest_refund(_ACTION.model_copy(update={"account_id": None}), decision_id) is None


def test_the_digest_of_an_act_has_one_known_value_and_every_part_counts() -> None:
    parts: dict[str, Any] = {
        "tenant_id": "demo", "decision_id": "dec_" + "c" * 32, "action_digest": "d" * 64, "kind": "post",
        "target_id": UUID(int=7),
    }  # fmt: skip
    text = f"act|demo|dec_{'c' * 32}|{'d' * 64}|post|00000000-0000-0000-0000-000000000007"
    assert digest_act(**parts) == hashlib.sha256(text.encode()).digest()
    others = {"tenant_id": "x", "decision_id": "dec_" + "e" * 32, "action_digest": "f" * 64, "kind": "void", "target_id": None}
    digests = {digest_act(**{**parts, name: value}) for name, value in others.items()}
    assert len(digests | {digest_act(**parts)}) == len(others) + 1
