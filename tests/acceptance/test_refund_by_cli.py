"""The main job from a terminal, on real parts: five questions, five different ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.service import Service

pytestmark = pytest.mark.slow


def _codes(answer: dict[str, object]) -> list[str]:
    decision = answer["decision"]
    assert isinstance(decision, dict)
    return [reason["code"] for reason in decision["reasons"]]


def test_a_true_duplicate_is_refunded_once_and_never_again(service: Service) -> None:
    case = service.scenarios["duplicate_small"]
    question = f"The customer says {case['descriptor']} charged him twice. Please refund the duplicate."
    first = service.ask(case["customer_id"], question)
    assert first["decision"]["outcome"] == "allow"
    assert (first["posting"]["amount_minor"], first["posting"]["currency"]) == (case["amount_minor"], case["currency"])
    assert first["decision"]["action"]["transaction_id"] in case["transaction_ids"]
    second = service.ask(case["customer_id"], question)
    assert second["decision"]["outcome"] == "deny"
    assert "already_refunded" in _codes(second)
    assert second["posting"] is None


def test_the_same_key_gives_the_same_answer_and_nothing_twice(service: Service) -> None:
    case = service.scenarios["duplicate_small_2"]
    question = "Please refund the duplicate charge."
    first = service.ask(case["customer_id"], question, key="the-same-key")
    repeated = ("ask", "--customer", case["customer_id"], "--conversation", first["conversation_id"], "--json")
    again = service.cli(*repeated, "--message", question, "--idempotency-key", "the-same-key")
    assert again.status == 0, again.out + again.err
    assert again.json["posting"]["transfer_id"] == first["posting"]["transfer_id"]
    other = service.cli(*repeated, "--message", "Something else.", "--idempotency-key", "the-same-key")
    assert other.status == 2
    assert "idempotency" in other.json["error"]["code"]


def test_above_the_operators_limit_a_human_decides_and_not_the_proposer(service: Service) -> None:
    """Asked by Ben: the attacks on the agents' door, in Ada's name, use up what one operator may send to review in an hour."""
    case = service.scenarios["duplicate_above_limit"]
    answer = service.ask(case["customer_id"], "The customer was charged twice, refund the duplicate please.", as_user="ben")
    assert answer["decision"]["outcome"] == "review"
    assert "above_operator_limit" in _codes(answer)
    assert answer["posting"] is None
    path = f"/api/v1/reviews/{answer['review']['review_id']}/approve"
    verdict = {"action_digest": answer["decision"]["action_digest"], "reason": "checked with the merchant"}
    with service.api("ben") as proposer:
        assert proposer.post(path, json=verdict).status_code == 403
    with service.api("cleo") as approver:
        assert approver.post(path, json={**verdict, "action_digest": "0" * 64}).status_code == 409
        done = approver.post(path, json=verdict).raise_for_status().json()
    assert done["decision"]["outcome"] == "allow"
    assert done["decision"]["previous_decision_id"] == answer["decision"]["decision_id"]
    assert done["posting"]["amount_minor"] == case["amount_minor"]


def test_another_customers_transaction_is_denied(service: Service) -> None:
    mine, other = service.scenarios["duplicate_small_3"], service.scenarios["duplicate_gbp"]
    answer = service.ask(mine["customer_id"], f"Please refund {other['transaction_id']}.")
    assert answer["decision"]["outcome"] == "deny"
    assert "transaction_not_granted" in _codes(answer)
    assert answer["posting"] is None


def test_a_question_gets_a_cited_answer_and_no_proposal(service: Service) -> None:
    answer = service.ask(service.scenarios["duplicate_small_3"]["customer_id"], "How long does a payout take to arrive?")
    assert answer["proposal"] is None
    assert answer["decision"] is None
    assert answer["sentences"]
    assert all(sentence["generated_by"] in ("model", "template") for sentence in answer["sentences"])
    kinds = {citation["kind"] for sentence in answer["sentences"] for citation in sentence["citations"]}
    assert "passage" in kinds
    assert all(sentence["citations"] for sentence in answer["sentences"])


def test_a_receipt_verifies_offline_and_not_with_a_changed_byte(service: Service, tmp_path: Path) -> None:
    case = service.scenarios["duplicate_gbp"]
    answer = service.ask(case["customer_id"], "The customer was charged twice, please refund the duplicate.")
    decision_id = answer["decision"]["decision_id"]
    with service.api("ira") as auditor:
        service.wait_for(lambda: auditor.get(f"/api/v1/receipts/{decision_id}").status_code == 200)
        body = auditor.get(f"/api/v1/receipts/{decision_id}").content
    file, key = tmp_path / "receipt.json", service.var_dir / "receipts.pub"
    file.write_bytes(body)
    good = service.cli("verify", str(file), "--key", str(key), "--json")
    assert good.status == 0, good.out + good.err
    for place in range(7, len(body), max(1, len(body) // 40)):
        changed = bytearray(body)
        changed[place] ^= 0x01
        file.write_bytes(changed)
        bad = service.cli("verify", str(file), "--key", str(key))
        assert bad.status != 0, f"byte {place} changed and still accepted"


@pytest.mark.parametrize(
    ("customer", "message", "status"),
    [
        ("cus_000000000000", "Was he charged twice?", 2),
        ("duplicate_small", "   ", 2),
        ("duplicate_small", "x" * 110_000, 2),
        ("duplicate_small", "refund \x00\x01 please", 2),
    ],
    ids=["unknown customer", "empty", "too long", "binary"],
)
def test_bad_input_gets_one_clear_line(service: Service, customer: str, message: str, status: int) -> None:
    customer_id = customer if customer.startswith("cus_") else service.scenarios[customer]["customer_id"]
    run = service.cli("ask", "--customer", customer_id, "--message", "-", "--json", standard_input=message)
    assert run.status == status, run.out + run.err
    error = json.loads(run.out)["error"]
    assert error["code"]
    assert error["detail"]
    assert "Traceback" not in run.err
