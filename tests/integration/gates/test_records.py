"""What an act is about, read through the conversation's grants: facts, ids and origins of every kind, and what is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from psycopg import Connection

from domain.decision import Decision, Outcome
from domain.origin import Origin
from gates.policy.bundle import load_bundle_directory
from gates.pure import decide_document
from ledger.results import ExecutionCode
from serving.edge.grants import collect_grants
from storage.unit_of_work import DatabaseUnavailable
from tests.integration.gates.desk import STARTER, Desk, Turn, codes_of
from tests.integration.gates.desk_records import ACCOUNT, CUSTOMER, EVE, STRANGE_ACCOUNT, STRANGER

_TOKEN = "<IBAN_7f3a9k2m-q4>"


def _group(decision: Decision, group: str) -> dict[str, Any]:
    return {name.partition(".")[2]: value for name, value in decision.facts.items() if name.startswith(f"{group}.")}


def _origins(decision: Decision) -> dict[str, str]:
    return {origin.argument: origin.origin.value for origin in decision.origins}


def _pay(desk: Desk, payee: str, *, amount_minor: int = 2000, account: str = ACCOUNT, origin: str = "staff") -> Decision:
    turn = desk.add_turn(grants={"A1": account, "B1": payee})
    desk.say(turn, ("handle", "B1"), ("amount", f"EUR {amount_minor // 100}.{amount_minor % 100:02}"), origin=origin)
    return desk.decide_act(
        turn, "payment", account="A1", beneficiary="B1", amount_minor=amount_minor, currency="EUR", reason_code="bill"
    )


def test_a_payment_knows_its_payee(desk: Desk) -> None:
    payee = desk.add_beneficiary(days=10)
    first = _pay(desk, payee)
    assert _group(first, "beneficiary") == {
        "owner_matches": True, "currency": "EUR", "screening_state": "clear", "is_verified": True, "age_hours": 240,
        "changed_30d_count": 0, "paid_count": 0, "max_paid_minor": 0,
    }  # fmt: skip
    assert _group(first, "account") == {"status": "active", "currency": "EUR", "ledger_version": 0}
    assert (first.action.account_id, first.action.beneficiary_id, first.action.customer_id) == (ACCOUNT, payee, CUSTOMER)
    assert _origins(first) == {
        "account": "ledger", "beneficiary": "staff", "amount_minor": "staff", "currency": "ledger", "reason_code": "model",
    }  # fmt: skip
    # Never paid before: new. A person allows it, and then it was paid.
    assert "new_beneficiary" in codes_of(first)
    allowed = desk.answer(first, "opr_cleo")
    assert desk.execute(allowed).code is ExecutionCode.POSTED, codes_of(allowed)
    desk.now += timedelta(hours=1)
    second = _pay(desk, payee, amount_minor=2100)
    assert {name: _group(second, "beneficiary")[name] for name in ("paid_count", "max_paid_minor")} == {
        "paid_count": 1, "max_paid_minor": 2000,
    }  # fmt: skip
    assert _group(second, "account")["ledger_version"] > 0
    assert _group(second, "velocity")["beneficiary_24h_minor"] == 2000


def test_what_the_bank_sent_to_a_payee_counts_once_with_what_we_executed(desk: Desk) -> None:
    payee, other = desk.add_beneficiary(days=40), desk.add_beneficiary(days=40)
    for amount_minor, to, status in (
        (4000, payee, "posted"),
        (3000, payee, "posted"),
        (9000, payee, "declined"),
        (8000, other, "posted"),
    ):
        transaction_id = desk.add_charge(amount_minor, kind="transfer_out", status=status)
        desk.role("jobs").execute(
            "UPDATE core.transactions SET beneficiary_id = %s WHERE transaction_id = %s", [to, transaction_id]
        )
    first = _pay(desk, payee)
    assert "new_beneficiary" not in codes_of(first)
    assert [_group(first, "beneficiary")[name] for name in ("paid_count", "max_paid_minor")] == [2, 4000]
    assert desk.execute(first).code is ExecutionCode.POSTED, codes_of(first)
    desk.now += timedelta(hours=1)
    again = _pay(desk, payee)
    assert [_group(again, "beneficiary")[name] for name in ("paid_count", "max_paid_minor")] == [2, 4000]


@pytest.mark.parametrize("origin", ["customer_text", "document", "knowledge_base"])
def test_a_payee_that_others_chose_is_theirs(desk: Desk, origin: str) -> None:
    decision = _pay(desk, desk.add_beneficiary(), origin=origin)
    assert (_origins(decision)["beneficiary"], _origins(decision)["amount_minor"]) == (origin, origin)
    assert decision.outcome is Outcome.REVIEW


def test_somebody_else_s_records_are_known_as_his(desk: Desk) -> None:
    payee = desk.add_beneficiary(customer_id=STRANGER)
    decision = _pay(desk, payee)
    assert _group(decision, "beneficiary")["owner_matches"] is False
    assert decision.outcome is Outcome.DENY
    # An account has no facts of its own for that: it is not granted.
    assert _pay(desk, desk.add_beneficiary(), account=STRANGE_ACCOUNT).facts["grant.granted"] is False


@pytest.mark.parametrize("handle", ["A1", "B1"])
def test_a_handle_that_is_not_granted_denies(desk: Desk, handle: str) -> None:
    grants = {"A1": ACCOUNT, "B1": desk.add_beneficiary()}
    del grants[handle]
    decision = desk.decide_act(
        desk.add_turn(grants=grants), "payment", account="A1", beneficiary="B1", amount_minor=5, currency="EUR"
    )
    assert decision.facts["grant.granted"] is False
    assert decision.outcome is Outcome.DENY


def test_a_handle_of_another_kind_is_not_granted(desk: Desk) -> None:
    charge = desk.add_charge()
    decision = desk.decide_act(desk.add_turn([charge]), "card_block", card="T1")
    assert (decision.facts["grant.granted"], decision.outcome, decision.action.subject_id) == (False, Outcome.DENY, None)


def test_a_dispute_has_its_clock_and_its_sums(desk: Desk) -> None:
    charge = desk.add_charge(5000)
    # Opened on Friday 13 February 2026; Presidents' Day is the 16th, so that 2 March is the tenth business day after.
    dispute = desk.add_dispute(charge, days=17)
    turn = desk.add_turn(operator_id=EVE, grants={"D1": dispute})
    desk.say(turn, ("handle", "D1"))
    decision = desk.decide_act(turn, "provisional_credit", dispute="D1", amount_minor=5000, currency="EUR", reason_code="dispute")
    assert _group(decision, "dispute") == {
        "owner_matches": True, "state": "open", "charge_minor": 5000, "currency": "EUR", "age_days": 17, "age_business_days": 10,
        "is_new_account": False, "provisional_minor": 0, "writeoff_minor": 0, "provisional_due": True, "is_overdue": False,
    }  # fmt: skip
    assert (decision.action.subject_id, decision.action.transaction_id, decision.action.account_id) == (dispute, charge, ACCOUNT)
    assert _origins(decision)["amount_minor"] == "ledger"


def test_cards_cases_and_verdicts(desk: Desk) -> None:
    card, case = desk.add_card(status="blocked"), desk.add_case()
    turn = desk.add_turn(operator_id=EVE, grants={"C1": card, "K1": case})
    blocked = desk.decide_act(turn, "card_block", card="C1", reason_code="card_compromised")
    assert _group(blocked, "card") == {"owner_matches": True, "status": "blocked"}
    assert (blocked.action.subject_id, blocked.action.amount_minor, blocked.action.currency) == (card, 0, "XXX")
    closed = desk.decide_act(turn, "case_close", case="K1", reason_code="investigation_done")
    assert _group(closed, "case") == {"kind": "reconciliation_break", "state": "open"}
    verdict = desk.decide_act(turn, "kyc_decision", verdict="clear", reason_code="kyc")
    assert (verdict.facts["grant.granted"], verdict.action.customer_id) == (True, CUSTOMER)


def test_signs_of_somebody_else_in_the_customer_s_place(desk: Desk) -> None:
    for country, outcome, hours in (("DE", "success", 2), ("FR", "success", 2), ("FR", "success", 24 * 7), ("FR", "failed", 2)):
        desk.add_login(outcome, country=country, hours=hours)
    desk.add_login("challenged", hours=23)
    desk.add_login("challenged", hours=24)
    desk.add_device(hours=23)
    desk.add_device(hours=24)
    charge = desk.add_charge()
    desk.add_dispute(charge)
    facts = _group(desk.decide_refund(desk.add_turn([charge])), "customer")
    assert {name: facts[name] for name in facts if name.endswith(("logins_7d_count", "_24h_count", "_365d_count"))} == {
        "failed_logins_7d_count": 1, "foreign_logins_7d_count": 1, "challenged_logins_24h_count": 1, "new_devices_24h_count": 1,
        "disputes_365d_count": 1,
    }  # fmt: skip


def test_the_load_counts_reviews_of_others(desk: Desk) -> None:
    charges = [desk.add_charge(900 + number) for number in range(3)]
    seen = [
        _group(desk.decide_refund(desk.add_turn([charge]), amount_minor=900 + number), "load")
        for number, charge in enumerate(charges)
    ]
    assert [load["source_1h_count"] for load in seen] == [0, 1, 2]
    desk.now += timedelta(hours=1)
    later = _group(desk.decide_refund(desk.add_turn([charges[0]], operator_id="opr_ben"), amount_minor=900), "load")
    assert later == {"source_1h_count": 0, "source_open_count": 0, "tenant_1h_count": 0}
    own = _group(desk.decide_refund(desk.add_turn([charges[0]]), amount_minor=900), "load")
    assert (own["source_1h_count"], own["source_open_count"], own["tenant_1h_count"]) == (0, 3, 1)


def test_a_conversation_and_a_document_give_the_same_origins(desk: Desk) -> None:
    """The same act twice: from rows of the database, and as the lines of a decide document."""
    bundle = load_bundle_directory(STARTER)
    first, second = desk.add_charge(5000), desk.add_charge(4200)
    payee = desk.add_beneficiary()
    said = (("handle", "T2"), ("handle", "B1"), ("amount", "EUR 7.77"))
    records = [
        {"handle": "T1", "kind": "transaction", "id": first, "amount_minor": 5000, "remaining_minor": 5000, "currency": "EUR"},
        {"handle": "T2", "kind": "transaction", "id": second, "amount_minor": 4200, "remaining_minor": 4200, "currency": "EUR"},
        {"handle": "A1", "kind": "account", "id": ACCOUNT, "currency": "EUR"},
        {"handle": "B1", "kind": "beneficiary", "id": payee, "currency": "EUR", "token": _TOKEN},
    ]
    acts: list[tuple[str, dict[str, Any]]] = [
        ("refund", {"transaction": "T1", "amount_minor": amount, "currency": "EUR"}) for amount in (5000, 800, 9200, 777, 4200, 1)
    ]
    acts += [("payment", {"account": "A1", "beneficiary": "B1", "amount_minor": 777, "currency": "EUR"})]
    for origin in ("staff", "customer_text", "document"):
        for kind, arguments in acts:
            turn = desk.add_turn([first, second], grants={"A1": ACCOUNT, "B1": payee})
            desk.say(turn, *said, origin=origin)
            decision = desk.decide_act(turn, kind, **arguments)
            document = {
                "proposal": {"kind": kind, "arguments": {**arguments, "reason_code": "other"}},
                "facts": {},
                "context": [
                    {"origin": origin, "text": "T2 B1 EUR 7.77"},
                    *({"origin": "ledger", "record": record} for record in records),
                ],
            }
            pure = decide_document(document, bundle=bundle, scorecard=desk.rules.scorecard)
            assert pure.origins == decision.origins, (origin, kind, arguments)


# What is missing or slow --------------------------------------------------------------------------------------------------------


def test_a_record_that_is_gone_is_never_allowed(desk: Desk) -> None:
    decision = _pay(desk, "ben_that_is_gone")
    assert _group(decision, "beneficiary") == {}
    assert decision.outcome in {Outcome.DENY, Outcome.REVIEW}
    assert "within_policy" not in codes_of(decision)


def test_facts_that_cannot_be_read_in_time_decide_nothing(desk: Desk, admin_conn: Connection[Any]) -> None:
    turn = desk.add_turn([desk.add_charge()])
    proposal_id = desk.propose(turn)
    with admin_conn.transaction():
        admin_conn.execute("LOCK TABLE core.logins IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(DatabaseUnavailable):
            desk.decide(proposal_id)
    count = admin_conn.execute("SELECT COUNT(*) FROM gate.decisions WHERE proposal_id = %s", [proposal_id]).fetchone()
    assert count == (0,)
    assert desk.decide(proposal_id).decision_id


def test_a_conversation_names_disputes_and_open_cases(desk: Desk) -> None:
    own, strange = desk.add_charge(), desk.add_charge(account_id=STRANGE_ACCOUNT)
    dispute, case = desk.add_dispute(own), desk.add_case(subject=own)
    desk.add_dispute(strange)
    desk.add_case(subject=strange)
    grants = collect_grants(
        desk.role("edge"), tenant_id=desk.tenant.tenant_id, conversation_id="cnv_" + "0" * 32, customer_id=CUSTOMER
    )
    assert {grant.handle: grant.ref for grant in grants if grant.handle[0] in "DHK"} == {"D1": dispute, "K1": case}
    assert all(grant.origin is Origin.LEDGER and grant.granted for grant in grants)


def test_what_was_said_after_the_proposal_s_turn_names_nothing(desk: Desk) -> None:
    turn = desk.add_turn(grants={"A1": ACCOUNT, "B1": desk.add_beneficiary()})
    later = Turn(turn.conversation_id, desk.add_message(turn.conversation_id, at=desk.now + timedelta(seconds=1)))
    desk.say(later, ("handle", "B1"), ("amount", "EUR 20.00"))
    asked: dict[str, Any] = {
        "account": "A1",
        "beneficiary": "B1",
        "amount_minor": 2000,
        "currency": "EUR",
        "reason_code": "bill",
    }
    before = desk.decide_act(turn, "payment", **asked)
    assert (_origins(before)["beneficiary"], _origins(before)["amount_minor"]) == ("model", "model")
    after = desk.decide_act(later, "payment", **asked)
    assert (_origins(after)["beneficiary"], _origins(after)["amount_minor"]) == ("staff", "staff")


def test_a_charge_is_named_in_the_very_message_or_not(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge()])
    desk.say(turn, ("handle", "T1"))
    later = Turn(turn.conversation_id, desk.add_message(turn.conversation_id, at=desk.now + timedelta(seconds=1)))
    assert desk.decide_refund(turn).facts["transaction.named_by_staff"] is True
    assert desk.decide_refund(later).facts["transaction.named_by_staff"] is False
