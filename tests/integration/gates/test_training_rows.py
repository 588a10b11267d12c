"""The rows that a score is trained on are the facts that the gate had when it decided: the same names, the same numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from psycopg.rows import dict_row

from domain.decision import Decision, Outcome
from ledger.results import ExecutionCode
from tests.integration.gates.desk import Desk
from tests.integration.gates.desk_records import ACCOUNT, CLEO, DAN
from training.records import Records, Row
from training.rows import PAYMENT_FACTS, make_payment_rows


def _pay(desk: Desk, payee: str, amount_minor: int) -> Decision:
    """Propose a payment, let people approve it where they must, execute it; return the first decision."""
    turn = desk.add_turn(grants={"A1": ACCOUNT, "B1": payee})
    desk.say(turn, ("handle", "B1"), ("amount", f"EUR {amount_minor // 100}.{amount_minor % 100:02}"))
    first = desk.decide_act(
        turn, "payment", account="A1", beneficiary="B1", amount_minor=amount_minor, currency="EUR", reason_code="bill"
    )
    allowed = first
    for person in (CLEO, DAN):
        if allowed.outcome is Outcome.REVIEW:
            allowed = desk.answer(first, person)
    assert desk.execute(allowed).code is ExecutionCode.POSTED, allowed.reasons
    return first


def _read_records(desk: Desk, paid: list[Row]) -> Records:
    jobs = desk.role("jobs")

    def read(table: str) -> list[dict[str, Any]]:
        with jobs.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(f"SELECT * FROM core.{table}").fetchall()

    kinds = ("customers", "accounts", "beneficiaries", "devices", "logins", "disputes")
    rows = {kind: tuple(read(kind)) for kind in kinds}
    return Records("desk", "", rows | {"transactions": (*read("transactions"), *paid), "labels": ()})


def test_rows_of_training_equal_the_facts_at_decision_time(desk: Desk) -> None:
    for country, outcome, hours in (
        ("FR", "success", 3),
        ("FR", "success", 24 * 7 - 1),
        ("DE", "failed", 5),
        ("DE", "failed", 190),
    ):
        desk.add_login(outcome, country=country, hours=hours)
    desk.add_login("challenged", hours=22)
    desk.add_device(hours=23)
    desk.add_dispute(desk.add_charge(5000))
    old, young = desk.add_beneficiary(days=40), desk.add_beneficiary(days=4)
    decisions: list[Decision] = []
    for payee, amount_minor, minutes in ((old, 2000, 0), (young, 1500, 20), (old, 2100, 41), (young, 900, 60), (old, 800, 1_441)):
        desk.now += timedelta(minutes=minutes)
        decisions.append(_pay(desk, payee, amount_minor))
    paid: list[Row] = [
        {
            "transaction_id": decision.decision_id, "account_id": ACCOUNT, "kind": "transfer_out", "currency": "EUR",
            "amount_minor": decision.action.amount_minor, "beneficiary_id": decision.action.beneficiary_id,
            "occurred_at": decision.decided_at,
        }
        for decision in decisions
    ]  # fmt: skip
    rows = {row.transaction_id: row.facts for row in make_payment_rows(_read_records(desk, paid))}
    assert len(rows) == len(decisions) == 5
    for decision in decisions:
        at_decision = tuple(decision.facts[name] for name, _ in PAYMENT_FACTS)
        assert rows[decision.decision_id] == at_decision
    # The numbers are not all alike: something was counted.
    assert len({rows[decision.decision_id] for decision in decisions}) == 5
    by_name = {
        name: {rows[decision.decision_id][place] for decision in decisions} for place, (name, _) in enumerate(PAYMENT_FACTS)
    }
    assert by_name["velocity.customer_24h_count"] >= {0, 1, 2, 3}
    assert by_name["customer.foreign_logins_7d_count"] >= {1, 2}
    assert max(by_name["beneficiary.max_paid_minor"]) == 2100
