"""The digests that the database computes are those of the program, for any text that a record id or reason may hold."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from domain.canonical import digest_of
from domain.proposal import Action, ActionKind
from ledger.transfer_digest import digest_refund
from tests.integration.ledger.scene import Scene

# Postgres has no U+0000 in a text, JSON no lone surrogate.
_TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
_VALUES = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _TEXTS
_NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=6))
def test_flat_objects_have_one_digest(scene: Scene, value: dict[str, Any]) -> None:
    row = scene.gate.execute("SELECT gate.digest_of_flat(%s)", [Jsonb(value)]).fetchone()
    assert row == (digest_of(value),)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(transaction_id=_TEXTS, account_id=_TEXTS, amount_minor=st.integers(1, 10**15))
def test_refunds_have_one_digest(scene: Scene, transaction_id: str, account_id: str, amount_minor: int) -> None:
    action = Action(
        tenant_id="demo",
        proposal_id="prp_1",
        kind=ActionKind.REFUND,
        transaction_id=transaction_id,
        customer_id="cus_1",
        account_id=account_id,
        amount_minor=amount_minor,
        currency="EUR",
        reason_code="other",
    )
    row = scene.gate.execute(
        "SELECT gate.digest_of_refund('demo', 'dec_1', %s, %s, %s, 'EUR')", [transaction_id, account_id, amount_minor]
    ).fetchone()
    assert row == (digest_refund(action, "dec_1"),)


def test_what_has_no_flat_form_has_no_digest(scene: Scene) -> None:
    values: list[dict[str, Any]] = [{"a": 1.5}, {"a": [1]}, {"a": {}}, {}]
    for value in values:
        assert scene.gate.execute("SELECT gate.digest_of_flat(%s)", [Jsonb(value)]).fetchone() == (None,)
