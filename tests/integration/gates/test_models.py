"""Which score and which baselines an act is held against: champion, canary's share, shadow; and what follows from each."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from domain.decision import Decision, Outcome
from domain.errors import InvalidInput
from gates.policy.lifecycle import Activation, ReasonNeeded, approve_activation, request_activation
from gates.policy.registering import register_model, register_policy
from gates.registry import NoUsableScore
from gates.score.baselines import Baselines, Feature, Observation, learn_baselines
from gates.score.model import ScoreModel, parse_model
from gates.score.scorecard import DEFAULT_SCORECARD
from gates.shadow import tally_shadow_scores
from storage.registry import Artifact
from storage.registry_changes import Change, roll_back
from tests.integration.gates.bundles import STARTER, change_starter
from tests.integration.gates.desk import KIM, LEE, NOW, Desk, codes_of, token_of
from tests.integration.gates.desk_records import ACCOUNT, CUSTOMER, MERCHANT
from training.baselines import CUSTOMER_FEATURES, MERCHANT_FEATURES

WHY = "the week's labels say so"
TREES = {
    "format": "tellergate-trees/1",
    "name": "refund",
    "version": "1",
    "base_milli": 700_000,
    "facts": [{"fact": "customer.age_days", "reason": "new_customer", "stand_in": 900, "missing_milli": 1_000}],
    "trees": [{"adds_milli": {"0": 50_000}}],
}


def _card(points: int, *, name: str = "refund") -> ScoreModel:
    """The starter scorecard with other base points: from 600 on an act is reviewed."""
    content = json.loads(DEFAULT_SCORECARD.read_text())
    return parse_model({**content, "name": name, "base_points": points}, source="test")


def _token(desk: Desk, operator_id: str) -> str:
    return token_of(operator_id, desk.tenant.tenant_id)


def _register(desk: Desk, model: Any) -> Artifact:
    return register_model(desk.scope, model, _token(desk, KIM), lineage={"training_data_sha256": "ab" * 32}, now=NOW)


def _ask(desk: Desk, artifact: Artifact, target: Any = "champion", percent: int | None = None, reason: str = WHY) -> Change:
    wanted = Activation(
        _token(desk, KIM), artifact.sha256, target, percent=percent, reason=reason, kind=artifact.kind, name=artifact.name
    )
    return request_activation(desk.scope, desk.rules.shelf, wanted, now=NOW)


def _activate(desk: Desk, artifact: Artifact, target: Any = "champion", percent: int | None = None) -> None:
    change = _ask(desk, artifact, target, percent)
    if change.state == "open":
        approve_activation(desk.scope, desk.rules.shelf, change.change_id, _token(desk, LEE), now=NOW)


def _decide(desk: Desk) -> Decision:
    return desk.decide_refund(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)]))


def test_the_champion_scores_at_once_and_the_one_before_comes_back(desk: Desk) -> None:
    strict = _card(650)
    assert _decide(desk).score.model_ref == desk.rules.scorecard.ref
    _activate(desk, _register(desk, strict))
    decision = _decide(desk)
    assert (decision.score.model_ref, decision.outcome) == (strict.ref, Outcome.REVIEW)
    assert "score_high" in codes_of(decision)
    connection = desk.role("gate")
    with connection.transaction():
        roll_back(
            connection, tenant_id=desk.tenant.tenant_id, kind="score", name="refund", moved_by=LEE, reason="too strict", now=NOW
        )
    assert _decide(desk).score.model_ref == desk.rules.scorecard.ref


def test_trees_score_through_the_same_port(desk: Desk) -> None:
    trees = parse_model(TREES, source="test")
    _activate(desk, _register(desk, trees))
    decision = _decide(desk)
    assert (decision.score.model_ref, decision.score.score) == (trees.ref, 750)
    assert decision.score.reason_codes == ("new_customer",)
    row = desk.role("gate").execute("SELECT content ->> 'format' FROM gate.score_cards WHERE ref = %s", [trees.ref]).fetchone()
    assert row == ("tellergate-trees/1",)


def test_a_score_of_one_kind_of_act_scores_that_kind_only(desk: Desk) -> None:
    payments = _card(650, name="payment")
    artifact = _register(desk, payments)
    # There is none to compare with yet: the release brought none of this name.
    _activate(desk, artifact)
    assert _decide(desk).score.model_ref == desk.rules.scorecard.ref
    turn = desk.add_turn(grants={"A1": ACCOUNT, "B1": desk.add_beneficiary()})
    paid = desk.decide_act(turn, "payment", account="A1", beneficiary="B1", amount_minor=900, currency="EUR")
    assert paid.score.model_ref == payments.ref


def test_a_canary_scores_its_share_of_the_customers_each_time(desk: Desk) -> None:
    strict = _card(650)
    artifact = _register(desk, strict)
    place = int(hashlib.sha256(CUSTOMER.encode()).hexdigest()[:8], 16) % 100
    assert 0 < place < 99
    _activate(desk, artifact, "canary", place)
    assert _decide(desk).score.model_ref == desk.rules.scorecard.ref
    _activate(desk, artifact, "canary", place + 1)
    for _ in range(3):
        assert _decide(desk).score.model_ref == strict.ref


def test_a_shadow_is_recorded_and_moves_nothing(desk: Desk) -> None:
    strict = _card(650)
    artifact = _register(desk, strict)
    _activate(desk, artifact, "shadow")
    decision = _decide(desk)
    assert (decision.outcome, decision.score.model_ref) == (Outcome.ALLOW, desk.rules.scorecard.ref)
    gate = desk.role("gate")
    row = gate.execute("SELECT decision_id, model_ref, score, outcome, differs FROM gate.shadow_scores").fetchone()
    assert row == (decision.decision_id, strict.ref, 650 + decision.score.score - 40, "review", True)
    assert [(one.decided, one.shadow, one.decisions) for one in tally_shadow_scores(gate, artifact.sha256)] == [
        ("allow", "review", 1)
    ]


def test_a_shadow_that_was_tampered_with_changes_nothing(desk: Desk, admin_conn: Any) -> None:
    artifact = _register(desk, _card(650))
    _activate(desk, artifact, "shadow")
    _tamper(admin_conn, artifact.sha256)
    assert _decide(desk).outcome is Outcome.ALLOW
    assert desk.role("gate").execute("SELECT COUNT(*) FROM gate.shadow_scores").fetchone() == (0,)


def test_a_champion_that_was_tampered_with_decides_nothing(desk: Desk, admin_conn: Any) -> None:
    artifact = _register(desk, _card(650))
    change = _ask(desk, artifact)
    _tamper(admin_conn, artifact.sha256)
    with pytest.raises(NoUsableScore):
        approve_activation(desk.scope, desk.rules.shelf, change.change_id, _token(desk, LEE), now=NOW)
    _tamper(admin_conn, desk.rules.scorecard.ref.rpartition(":")[2])
    with pytest.raises(NoUsableScore):
        _decide(desk)
    assert desk.role("gate").execute("SELECT COUNT(*) FROM gate.decisions").fetchone() == (0,)


def _tamper(admin_conn: Any, sha256: str) -> None:
    with admin_conn.transaction():
        admin_conn.execute("ALTER TABLE gate.score_cards DISABLE TRIGGER append_only")
        admin_conn.execute(
            "UPDATE gate.score_cards SET content = JSONB_SET(content, '{base_points}', '1') WHERE RIGHT(ref, 64) = %s", [sha256]
        )
        admin_conn.execute("ALTER TABLE gate.score_cards ENABLE ALWAYS TRIGGER append_only")


def test_a_model_is_put_in_force_for_a_written_reason_only(desk: Desk) -> None:
    artifact = _register(desk, _card(650))
    with pytest.raises(ReasonNeeded):
        _ask(desk, artifact, reason="short")


def _learn(subject: str, features: tuple[Feature, ...], entity: str) -> Baselines:
    """Learn from a calm year, one small payment a day."""
    calm = [Observation(entity, "EUR", NOW - timedelta(days=day), _see_calm(features, day)) for day in range(10, 410)]
    return learn_baselines(subject, features, calm, until=NOW)


def _see_calm(features: tuple[Feature, ...], day: int) -> dict[str, int]:
    return {feature.name: 1_000 + day % 7 if feature.name.endswith("minor") else 1 for feature in features}


def _use_baselines(desk: Desk) -> None:
    for learned in (
        _learn("customer", CUSTOMER_FEATURES, f"{CUSTOMER}:EUR"),
        _learn("merchant", MERCHANT_FEATURES, MERCHANT),
    ):
        _activate(desk, _register(desk, learned))


def test_without_baselines_nothing_is_said_of_the_usual(desk: Desk) -> None:
    assert not any(name.startswith("baseline.") for name in _decide(desk).facts)


def test_what_breaks_from_the_usual_is_reviewed_with_its_reasons(desk: Desk) -> None:
    _use_baselines(desk)
    usual = desk.decide_refund(desk.add_turn([desk.add_charge(1_003, minutes=-9_000)]), amount_minor=1_003, reason_code="other")
    assert (usual.facts["baseline.customer_flags_count"], usual.facts["baseline.reasons"]) == (0, "")
    assert "breaks_from_usual" not in codes_of(usual)
    odd = desk.decide_refund(desk.add_turn([desk.add_charge(19_000, minutes=-6_000)]), amount_minor=19_000, reason_code="other")
    assert odd.outcome is Outcome.REVIEW
    assert "breaks_from_usual" in codes_of(odd)
    assert odd.facts["baseline.customer_flags_count"] == 2
    assert odd.facts["baseline.reasons"] == "above_usual_amount,much_more_in_a_day_than_usual"
    assert len(str(odd.facts["baseline.refs"]).split(",")) == 2


def test_a_charge_from_a_burst_at_its_merchant_is_reviewed(desk: Desk) -> None:
    _use_baselines(desk)
    for minutes in range(6):
        desk.add_charge(100 + minutes, minutes=-3_000 + minutes, status="declined")
    decision = desk.decide_refund(
        desk.add_turn([desk.add_charge(1_001, minutes=-2_990)]), amount_minor=1_001, reason_code="other"
    )
    assert "breaks_from_usual" in codes_of(decision)
    assert decision.facts["baseline.merchant_flags_count"] == 3
    reasons = str(decision.facts["baseline.reasons"]).split(",")
    assert {"burst_at_merchant", "declines_at_merchant", "small_amounts_at_merchant"} <= set(reasons)


def test_a_payment_is_held_against_the_customers_own_day(desk: Desk) -> None:
    _use_baselines(desk)
    payee = desk.add_beneficiary()

    def pay(amount_minor: int) -> Decision:
        turn = desk.add_turn(grants={"A1": ACCOUNT, "B1": payee})
        return desk.decide_act(turn, "payment", account="A1", beneficiary="B1", amount_minor=amount_minor, currency="EUR")

    assert "breaks_from_usual" not in codes_of(pay(1_004))
    assert "breaks_from_usual" in codes_of(pay(9_000))
    for minutes in (1, 2, 3):
        desk.add_charge(1_000, minutes=3 * 24 * 60 - minutes)
    assert "more_in_an_hour_than_usual" in str(pay(1_004).facts["baseline.reasons"])


def test_baselines_need_a_policy_that_knows_them(desk: Desk) -> None:
    rules = (STARTER / "restrictions.cedar").read_text()
    block = rules[rules.index("// The charge that is to be given back") : rules.index("// Refunds and reversed fees.")]
    old = change_starter(
        ("schema.cedarschema", "    baseline?: Baseline,\n", ""), ("restrictions.cedar", block, ""), version="before-baselines"
    )
    register_policy(desk.scope, old, _token(desk, KIM), now=NOW)
    change = request_activation(desk.scope, desk.rules.shelf, Activation(_token(desk, KIM), old.sha256, "champion"), now=NOW)
    approve_activation(desk.scope, desk.rules.shelf, change.change_id, _token(desk, LEE), now=NOW)
    artifact = _register(desk, _learn("merchant", MERCHANT_FEATURES, MERCHANT))
    with pytest.raises(InvalidInput) as refused:
        _ask(desk, artifact)
    assert refused.value.code == "policy_knows_no_baselines"
    with pytest.raises(InvalidInput) as refused:
        _ask(desk, artifact, "shadow")
    assert refused.value.code == "no_such_target"
