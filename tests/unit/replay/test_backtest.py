"""Backtest: its sums are those of a plain count, and what cannot be compared is said apart."""

from __future__ import annotations

from collections import Counter

import pytest

from domain.decision import Decision, Outcome
from domain.proposal import ActionKind
from gates.decide import decide_action
from gates.policy.bundle import PolicyBundle
from gates.replay.backtest import BacktestReport, backtest, drift_of
from gates.replay.inputs import input_of
from gates.replay.reading import RecordedDecision
from tests.unit.replay.history import BUNDLE, change_bundle, decide_example, make_history, record

_STRICTER = change_bundle(("context.proposed.amount_minor > 500000", "context.proposed.amount_minor > 600"))


def _count_plainly(
    history: list[Decision], bundle: PolicyBundle
) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str, str]]]:
    numbers: Counter[tuple[str, str]] = Counter()
    money: Counter[tuple[str, str, str]] = Counter()
    for decision in history:
        if decision.reasons[0].policy_id == "gate":
            continue
        after = decide_action(input_of(decision), bundle, now=decision.decided_at).outcome
        if after is not decision.outcome:
            key = (decision.outcome.value, after.value)
            numbers[key] += 1
            money[(*key, decision.action.currency)] += decision.action.amount_minor
    return numbers, money


def test_the_same_policy_changes_nothing() -> None:
    history = make_history()
    report = backtest(record(history), BUNDLE)
    assert (report.decisions, report.settled, report.compared) == (len(history), 1, len(history) - 1)
    assert (report.changed, report.changes, report.rules, report.other_reasons) == (0, (), (), 0)
    assert drift_of(report) == 0


def test_its_sums_are_those_of_a_plain_count() -> None:
    history = make_history()
    report = backtest(record(history), _STRICTER)
    numbers, money = _count_plainly(history, _STRICTER)
    assert report.changed == sum(numbers.values()) > 0
    assert {(change.before.value, change.after.value): change.decisions for change in report.changes} == dict(numbers)
    assert {
        (change.before.value, change.after.value, currency): minor
        for change in report.changes
        for currency, minor in change.exposure_minor.items()
    } == dict(+money)
    denied = [decision.decision_id for decision in history if decision.decision_id in report.newly_denied]
    assert sorted(denied) == sorted(report.newly_denied)
    assert report.newly_allowed == ()


def test_a_rule_says_what_it_adds_with_each_proposal_once() -> None:
    large = decide_example(ActionKind.REFUND, amount_minor=700)
    report = backtest(record([large, large]), _STRICTER)
    added = next(rule for rule in report.rules if rule.reason == "hard_cap")
    assert (added.effect, added.outcome, added.decisions, added.proposals) == ("added", Outcome.DENY, 2, 1)
    assert added.exposure_minor == {"EUR": 700}


def test_what_the_new_policy_cannot_judge_is_said_apart() -> None:
    decision = decide_example(ActionKind.REFUND)
    facts = {name: value for name, value in decision.facts.items() if not name.startswith("customer.")}
    poor = decision.model_copy(update={"facts": facts})
    broken = RecordedDecision("dec_" + "0" * 32, None, None, problem="its row cannot be read: action")
    report = backtest([*record([poor]), broken], BUNDLE)
    assert (report.undecidable, report.compared, report.changed) == (2, 0, 0)


@pytest.mark.parametrize(("changed", "compared", "permille"), [(0, 0, 0), (0, 5, 0), (1, 5000, 1), (1, 3, 334), (5, 5, 1000)])
def test_drift_is_rounded_up(changed: int, compared: int, permille: int) -> None:
    report = backtest([], BUNDLE)
    values = {name: getattr(report, name) for name in report.__dataclass_fields__}
    assert drift_of(BacktestReport(**{**values, "changed": changed, "compared": compared})) == permille
