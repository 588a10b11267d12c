"""Replay: the same bytes for an untouched history, and a name for every single thing that was changed in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.decision import Decision, Outcome
from domain.proposal import ActionKind
from gates.replay.inputs import find_settling_reason
from gates.replay.reading import RecordedDecision, plain
from gates.replay.replay import MAX_DIFFERENCES, ReplayReport, replay_decisions
from tests.unit.replay.history import BUNDLE, CARD, change_bundle, decide_example, make_history, record

_BUNDLES = {BUNDLE.sha256: BUNDLE}
_CARDS = {CARD.ref: CARD}


def _replay(recorded: list[RecordedDecision]) -> ReplayReport:
    return replay_decisions(recorded, _BUNDLES, _CARDS)


def test_an_untouched_history_is_identical_byte_for_byte() -> None:
    history = make_history()
    assert {decision.outcome for decision in history} == set(Outcome)
    seen: list[int] = []
    report = replay_decisions(record(history), _BUNDLES, _CARDS, on_progress=seen.append)
    assert report.is_identical
    assert (report.decisions, report.identical, report.rescored) == (len(history), len(history), len(history))
    assert seen == list(range(1, len(history) + 1))
    assert report.digest == _replay(record(history)).digest


def _with(decision: Decision, **changes: Any) -> Decision:
    return Decision.model_validate({**plain(decision), **changes})


def _facts(decision: Decision) -> dict[str, Any]:
    return {**decision.facts, "customer.age_days": 901}


_TAMPERED: list[tuple[dict[str, Any], set[str]]] = [
    ({"facts": ...}, {"facts_digest"}),
    ({"outcome": "deny"}, {"outcome"}),
    ({"reasons": [{"code": "hard_cap", "outcome": "deny", "policy_id": "hard-cap"}], "outcome": "deny"}, {"reasons", "outcome"}),
    ({"operator_id": "opr_other"}, {"operator_id"}),
    ({"policy_version": "starter@9"}, {"policy_version"}),
    ({"engine_version": "other"}, {"engine_version"}),
    ({"action_digest": "0" * 64}, {"action_digest"}),
    ({"expires_at": "2030-01-01T00:00:00Z"}, {"expires_at"}),
]


@pytest.mark.parametrize(("changes", "fields"), _TAMPERED)
def test_a_changed_row_is_named(changes: dict[str, Any], fields: set[str]) -> None:
    decision = decide_example(ActionKind.REFUND)
    tampered = _with(decision, **({"facts": _facts(decision)} if "facts" in changes else changes))
    report = _replay([RecordedDecision(decision.decision_id, tampered, plain(decision))])
    assert (report.identical, report.differing) == (0, 1)
    assert fields <= {difference.field for difference in report.differences}
    assert all(difference.decision_id == decision.decision_id for difference in report.differences)


def test_a_row_that_was_rewritten_as_a_whole_differs_from_its_event() -> None:
    """Facts, digest and all that follows fit each other: the event in the log tells."""
    real = decide_example(ActionKind.REFUND)
    rewritten = decide_example(ActionKind.REFUND, facts={"customer.age_days": 901})
    report = _replay([RecordedDecision(real.decision_id, rewritten, plain(real))])
    assert {(difference.where, difference.field) for difference in report.differences} >= {("log", "facts_digest")}
    gone = _replay([RecordedDecision(real.decision_id, real, None)])
    assert [(difference.where, difference.field) for difference in gone.differences] == [("log", "event")]


def test_a_changed_score_is_named() -> None:
    decision = decide_example(ActionKind.REFUND)
    tampered = _with(decision, score={**plain(decision)["score"], "score": decision.score.score + 1})
    report = _replay([RecordedDecision(decision.decision_id, tampered, plain(decision))])
    assert ("score", "score") in {(difference.where, difference.field) for difference in report.differences}


def test_a_bundle_that_is_missing_or_another_decides_nothing() -> None:
    decision = decide_example(ActionKind.REFUND)
    report = replay_decisions(record([decision]), {}, _CARDS)
    assert (report.undecidable, report.is_identical) == (1, False)
    assert report.problems == (f"bundle {BUNDLE.sha256} is missing",)
    # One byte of the bundle: it has another address, and under the old one it is not found.
    other = change_bundle(("500000", "500001"))
    assert replay_decisions(record([decision]), {other.sha256: other}, _CARDS).undecidable == 1
    # A shelf that hands out another content under the address is found out.
    lying = replay_decisions(record([decision]), {BUNDLE.sha256: other}, _CARDS)
    assert "policy_bundle_sha256" in {difference.field for difference in lying.differences}


def test_what_no_policy_was_asked_about_is_replayed_as_what_it_was() -> None:
    closed = make_history()[-1]
    settling = find_settling_reason(closed)
    assert settling is not None
    assert settling.code == "review_refused"
    assert _replay(record([closed])).is_identical
    tampered = _with(closed, reasons=[{**plain(closed)["reasons"][0], "outcome": "allow"}], outcome="allow")
    assert not _replay([RecordedDecision(closed.decision_id, tampered, plain(closed))]).is_identical


def test_a_row_that_cannot_be_read_is_counted_and_the_rest_goes_on() -> None:
    good = record([decide_example(ActionKind.REFUND)])[0]
    broken = replace(good, decision=None, problem="its row cannot be read: action")
    report = _replay([broken, good])
    assert (report.identical, report.undecidable, report.problems) == (1, 1, ("its row cannot be read: action",))


def test_differences_are_cut_and_counted_in_full() -> None:
    decision = decide_example(ActionKind.REFUND)
    tampered = RecordedDecision(decision.decision_id, _with(decision, operator_id="opr_x"), plain(decision))
    report = _replay([tampered] * (MAX_DIFFERENCES + 5))
    assert (report.differing, len(report.differences)) == (MAX_DIFFERENCES + 5, MAX_DIFFERENCES)
