"""Verdicts are labels: each with what was shown, in one schema; haste and overruling are counted."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import jsonschema  # type: ignore[import-untyped]

from domain.decision import Decision
from gates.review_labels import Pace, ReviewLabel, list_labels, list_pace, measure_overrules
from gates.review_queue import claim_review
from gates.review_store import Verdict
from storage.unit_of_work import unit_of_work
from tests.integration.gates.desk import ADA, CLEO, DAN, NOW, Desk, token_of


def _wait_for_person(desk: Desk, amount_minor: int) -> Decision:
    turn = desk.add_turn([desk.add_charge(amount_minor), desk.add_charge(amount_minor, minutes=1)])
    return desk.decide_refund(turn, amount_minor=amount_minor)


def _labels(desk: Desk) -> list[ReviewLabel]:
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        return list_labels(connection)


def test_every_verdict_is_a_label_of_the_schema(desk: Desk) -> None:
    decision = _wait_for_person(desk, 100_001)
    desk.answer(decision, CLEO, now=NOW + timedelta(seconds=40))
    desk.answer(decision, DAN, "refuse", now=NOW + timedelta(seconds=70))
    first, second = _labels(desk)
    schema = ReviewLabel.model_json_schema()
    for label in (first, second):
        jsonschema.validate(json.loads(label.model_dump_json()), schema)
        assert label.decision_id == decision.decision_id
        assert label.facts == decision.facts
        assert label.facts_digest == decision.facts_digest
        assert label.reasons == decision.reasons
        assert label.origins == decision.origins
        assert label.score == decision.score
        assert label.context_digest == desk.review_of(decision).state_digest
        assert label.rationale_sha256 == hashlib.sha256(b"read it").hexdigest()
        assert (label.asked_by, label.review_state) == (ADA, "refused")
    assert [(label.answered_by, label.verdict, label.handled_s) for label in (first, second)] == [
        (CLEO, "approve", 40),
        (DAN, "refuse", 70),
    ]
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        assert list_labels(connection, after=first.approval_id) == [second]
        assert list_labels(connection, limit=1) == [first]


def test_time_begins_with_the_claim_and_with_one_s_last_verdict(desk: Desk) -> None:
    first, second = _wait_for_person(desk, 30_000), _wait_for_person(desk, 30_001)
    token = token_of(CLEO, desk.tenant.tenant_id)
    claim_review(desk.scope, desk.review_of(first).review_id, token, now=NOW + timedelta(seconds=100))
    desk.answer(first, CLEO, "refuse", now=NOW + timedelta(seconds=130))
    desk.answer(second, CLEO, "refuse", now=NOW + timedelta(seconds=133))
    assert [label.handled_s for label in _labels(desk)] == [30, 3]
    assert [label.group_size for label in _labels(desk)] == [2, 1]


def test_haste_and_bulk_are_seen(desk: Desk) -> None:
    decisions = [_wait_for_person(desk, 30_000 + number) for number in range(11)]
    for number, decision in enumerate(decisions[:10]):
        desk.answer(decision, CLEO, "refuse", now=NOW + timedelta(seconds=60 + 4 * number))
    desk.answer(decisions[10], DAN, "refuse", now=NOW + timedelta(minutes=30))
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        cleo, dan = list_pace(connection, now=NOW)
    assert cleo == Pace(CLEO, NOW, 10, 0, 4, 9, 10, True)
    assert dan == Pace(DAN, NOW, 1, 0, 1800, 0, 1, False)


def test_rules_and_models_that_people_overrule(desk: Desk) -> None:
    verdicts: tuple[Verdict, ...] = ("approve", "approve", "refuse")
    for number, verdict in enumerate(verdicts):
        desk.answer(_wait_for_person(desk, 30_000 + number), CLEO, verdict)
    _wait_for_person(desk, 40_000)
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        rates = measure_overrules(connection)
    (rule,) = [rate for rate in rates.by_rule if rate.name == "above_operator_limit"]
    assert (rule.answered, rule.overruled, rule.permille) == (3, 2, 666)
    (model,) = rates.by_model
    assert (model.name, model.version, model.answered, model.overruled, model.permille) == ("none", "refund@1", 3, 1, 333)
