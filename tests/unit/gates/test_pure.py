"""A document in, a decision out: origins from its context, ids from our records, the same bytes each time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from domain.decision import Decision, Outcome
from domain.errors import InvalidInput
from domain.proposal import ActionKind
from gates.examples import DETAILS, example_document, list_fact_names
from gates.facts import CLOCK_FACTS
from gates.policy.bundle import InvalidBundle, PolicyBundle, load_bundle_directory
from gates.pure import decide_document
from gates.score.scorecard import Scorecard, load_scorecard

STARTER = Path(__file__).resolve().parents[3] / "gates" / "bundles" / "starter"
_ALWAYS_REVIEWED = {
    ActionKind.DISPUTE_WRITEOFF: {"writeoff_needs_approval"},
    ActionKind.HOLD_RELEASE: {"release_needs_approval"},
    ActionKind.BENEFICIARY_CHANGE: {"beneficiary_change_needs_approval"},
    ActionKind.KYC_DECISION: {"kyc_needs_person"},
}


@pytest.fixture(scope="module")
def bundle() -> PolicyBundle:
    return load_bundle_directory(STARTER)


@pytest.fixture(scope="module")
def scorecard() -> Scorecard:
    return load_scorecard()


@pytest.fixture
def decide(bundle: PolicyBundle, scorecard: Scorecard) -> Any:
    return lambda document: decide_document(document, bundle=bundle, scorecard=scorecard)


def _codes(decision: Decision) -> set[str]:
    return {reason.code for reason in decision.reasons} - {"within_policy"}


def _origins(decision: Decision) -> dict[str, str]:
    return {origin.argument: origin.origin.value for origin in decision.origins}


@pytest.mark.parametrize("kind", list(ActionKind))
def test_each_kind_s_example_does_as_it_says(decide: Any, kind: ActionKind) -> None:
    decision = decide(example_document(kind))
    if kind is ActionKind.UNLISTED:
        assert (decision.outcome, _codes(decision)) == (Outcome.DENY, {"kind_unlisted"})
    elif kind in _ALWAYS_REVIEWED:
        assert (decision.outcome, _codes(decision)) == (Outcome.REVIEW, _ALWAYS_REVIEWED[kind])
    else:
        assert (decision.outcome, _codes(decision)) == (Outcome.ALLOW, set())


@pytest.mark.parametrize("kind", list(ActionKind))
def test_the_same_line_gives_the_same_bytes(decide: Any, kind: ActionKind) -> None:
    document = example_document(kind)
    first, again = decide(document), decide(json.loads(json.dumps(document)))
    assert first.model_dump_json() == again.model_dump_json()
    assert decide({**document, "operator_id": "opr_other"}).decision_id != first.decision_id


def test_the_catalog_names_every_clock_fact() -> None:
    assert list_fact_names() | {"grant.granted"} >= CLOCK_FACTS


def test_facts_may_be_flat(decide: Any) -> None:
    document = example_document(ActionKind.PAYMENT)
    flat = {f"{group}.{fact}": value for group, facts in document["facts"].items() for fact, value in facts.items()}
    nested = decide(document)
    assert decide({**document, "facts": flat}).facts_digest == nested.facts_digest


def test_ids_come_from_our_records(decide: Any) -> None:
    action = decide(example_document(ActionKind.REFUND)).action
    assert (action.transaction_id, action.account_id, action.merchant_id, action.customer_id) == (
        "txn_example", "acc_example", "mrc_example", "cus_example",
    )  # fmt: skip
    action = decide(example_document(ActionKind.PAYMENT)).action
    assert (action.account_id, action.beneficiary_id, action.transaction_id) == ("acc_example", "ben_example", None)
    action = decide(example_document(ActionKind.PROVISIONAL_CREDIT)).action
    assert (action.subject_id, action.transaction_id, action.account_id) == ("dsp_example", "txn_example", "acc_example")
    action = decide(example_document(ActionKind.HOLD_RELEASE)).action
    assert (action.subject_id, action.amount_minor, action.currency) == ("tfr_example", 1290, "EUR")
    action = decide(example_document(ActionKind.BENEFICIARY_CHANGE)).action
    assert (action.beneficiary_id, action.details, action.amount_minor, action.currency) == ("ben_example", DETAILS, 0, "XXX")


@pytest.mark.parametrize("origin", ["document", "customer_text", "knowledge_base"])
def test_a_payee_chosen_by_others_waits(decide: Any, origin: str) -> None:
    document = example_document(ActionKind.PAYMENT)
    document["context"][0]["origin"] = origin
    decision = decide(document)
    assert decision.outcome is Outcome.REVIEW
    assert "destination_origin_untrusted" in _codes(decision)
    assert _origins(decision)["beneficiary"] == origin
    assert _origins(decision)["amount_minor"] == origin


def test_what_staff_quote_is_the_customer_s(decide: Any) -> None:
    document = example_document(ActionKind.PAYMENT)
    document["context"][0]["text"] = 'customer says: pay EUR 12.90 from A1 to B1\n"B1"\n> B1'
    decision = decide(document)
    assert _origins(decision)["beneficiary"] == "customer_text"
    assert decision.outcome is Outcome.REVIEW


def test_a_payee_is_known_by_the_token_of_his_account_too(decide: Any) -> None:
    document = example_document(ActionKind.PAYMENT)
    document["context"][0]["text"] = f"pay EUR 12.90 to {DETAILS}"
    assert _origins(decide(document))["beneficiary"] == "staff"


@pytest.mark.parametrize("kind", [kind for kind in ActionKind if kind not in {ActionKind.UNLISTED, ActionKind.KYC_DECISION}])
@pytest.mark.parametrize("origin", ["document", "customer_text", "staff", None])
def test_a_record_that_is_not_ours_grants_nothing(decide: Any, kind: ActionKind, origin: str | None) -> None:
    document = example_document(kind)
    for entry in list(document["context"]):
        if "record" in entry and origin is None:
            document["context"].remove(entry)
        elif "record" in entry:
            entry["origin"] = origin
    decision = decide(document)
    assert decision.outcome is Outcome.DENY
    assert _codes(decision) & {"handle_not_granted", "transaction_not_granted"}
    assert decision.facts["grant.granted"] is False
    assert (decision.action.transaction_id, decision.action.beneficiary_id, decision.action.account_id) == (None, None, None)


def test_the_amount_in_a_record_of_others_is_their_word(decide: Any) -> None:
    document = example_document(ActionKind.PAYMENT)
    document["context"][0]["text"] = "pay B1 from A1 as on the bill"
    document["context"].append({"origin": "document", "record": {"amount_minor": 1290, "currency": "EUR", "iban": DETAILS}})
    decision = decide(document)
    assert _origins(decision)["amount_minor"] == "document"
    assert decision.outcome is Outcome.REVIEW


@pytest.mark.parametrize(
    ("proposal", "code"),
    [
        (None, "malformed_proposal"),
        ([], "malformed_proposal"),
        ({"kind": "bribe", "arguments": {"reason_code": "other"}}, "kind_unlisted"),
        ({"kind": "payment", "arguments": {"account": "A1", "beneficiary": "B1", "reason_code": "bill"}}, "malformed_proposal"),
        ({"kind": "payment"}, "malformed_proposal"),
        ({"kind": "payment", "arguments": {"account": "A1"}, "surprise": 1}, "malformed_proposal"),
    ],
)
def test_what_cannot_be_read_is_denied(decide: Any, proposal: Any, code: str) -> None:
    decision = decide({**example_document(ActionKind.PAYMENT), "proposal": proposal})
    assert decision.outcome is Outcome.DENY
    assert code in _codes(decision)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"facts": None}, "facts"),
        ({"context": {}}, "context"),
        ({"surprise": 1}, "surprise"),
        ({"now": "2026-11-20"}, "now"),
        ({"now": "2026-11-20T12:00:00+01:00"}, "now"),
        ({"context": [{"origin": "derived", "text": "x"}]}, "computed"),
        ({"context": [{"origin": "staff"}]}, r"context\[0\]"),
        ({"context": [{"origin": "ledger", "record": {"handle": "T1", "kind": "transaction"}}]}, "id"),
        ({"tenant_id": "a b"}, "tenant_id"),
        ({"facts": {"x": float("nan")}, "tenant_id": ""}, "tenant_id"),
    ],
)
def test_what_is_no_document_is_refused_and_named(decide: Any, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        decide({**example_document(ActionKind.PAYMENT), **changed})


def test_one_handle_cannot_stand_for_two_records(decide: Any) -> None:
    document = example_document(ActionKind.PAYMENT)
    other = {**document["context"][1]["record"], "id": "acc_other"}
    with pytest.raises(InvalidInput, match="A1 stands for two records"):
        decide({**document, "context": [*document["context"], {"origin": "ledger", "record": other}]})


def test_a_document_may_bring_its_policy(decide: Any, bundle: PolicyBundle) -> None:
    content = {"manifest": bundle.content["manifest"], "files": dict(bundle.content["files"])}
    document = example_document(ActionKind.PAYMENT)
    for policy in (content, {"path": str(STARTER)}):
        assert decide({**document, "policy": policy}).policy_bundle_sha256 == bundle.sha256
    broken = {**content, "files": {**content["files"], "permits.cedar": "permit (principal, action, resource);"}}
    for policy in (broken, {"path": "/nonexistent"}, {}):
        with pytest.raises(InvalidBundle):
            decide({**document, "policy": policy})


def test_deciding_needs_no_database() -> None:
    script = (
        "import sys, gates.pure, gates.examples; print([name for name in sys.modules if name.startswith(('psycopg', 'storage'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=STARTER.parents[2])
    assert done.stdout.strip() == "[]"
