"""What would another policy have said of the recorded decisions? Counts and money, by change and by rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from domain.decision import Decision, Outcome
from gates.decide import decide_action
from gates.policy.bundle import PolicyBundle
from gates.policy.evaluation import COULD_NOT_DECIDE
from gates.replay.inputs import find_settling_reason, input_of
from gates.replay.reading import RecordedDecision

MAX_LISTED = 50
_ENGINE = "engine"
Exposure = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Change:
    """Hold how many decisions go from one outcome to another, and their amounts by currency in minor units."""

    before: Outcome
    after: Outcome
    decisions: int
    exposure_minor: Exposure


@dataclass(frozen=True, slots=True)
class RuleChange:
    """Hold what one rule adds or takes away: in how many decisions, of how many proposals, each proposal's amount once."""

    policy_id: str
    reason: str
    outcome: Outcome
    effect: str
    decisions: int
    proposals: int
    exposure_minor: Exposure


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """Hold what came of it.

    `settled`: no policy was asked, such as a person's refusal. `undecidable`: the recorded facts do not fit the new policy, so it
    cannot say; neither is among `compared`. `changed`: another outcome. `newly_allowed` and `newly_denied` list at most 50 each.
    """

    bundle_sha256: str
    decisions: int
    settled: int
    undecidable: int
    compared: int
    changed: int
    other_reasons: int
    changes: tuple[Change, ...]
    rules: tuple[RuleChange, ...]
    newly_allowed: tuple[str, ...]
    newly_denied: tuple[str, ...]


@dataclass(slots=True)
class _RuleTally:
    decisions: int = 0
    amounts: dict[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(slots=True)
class _Tally:
    changes: dict[tuple[Outcome, Outcome], list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    rules: dict[tuple[str, str, str, Outcome], _RuleTally] = field(default_factory=lambda: defaultdict(_RuleTally))
    listed: dict[Outcome, list[str]] = field(default_factory=lambda: defaultdict(list))
    other_reasons: int = 0

    def add(self, before: Decision, after: Decision) -> None:
        money = (before.action.currency, before.action.amount_minor)
        old = {(reason.policy_id, reason.code, reason.outcome) for reason in before.reasons}
        new = {(reason.policy_id, reason.code, reason.outcome) for reason in after.reasons}
        for effect, rules in (("added", new - old), ("removed", old - new)):
            for policy_id, code, outcome in rules:
                tally = self.rules[effect, policy_id, code, outcome]
                tally.decisions += 1
                tally.amounts[before.proposal_id] = money
        if before.outcome is after.outcome:
            self.other_reasons += old != new
            return
        self.changes[before.outcome, after.outcome].append(money)
        if after.outcome in {Outcome.ALLOW, Outcome.DENY}:
            self.listed[after.outcome].append(before.decision_id)


def backtest(
    recorded: Iterable[RecordedDecision], bundle: PolicyBundle, *, on_progress: Callable[[int], None] = lambda _: None
) -> BacktestReport:
    """Decide each recorded input under another bundle, with its recorded facts and score. Pure."""
    decisions = settled = undecidable = compared = 0
    tally = _Tally()
    for one in recorded:
        decisions += 1
        on_progress(decisions)
        if one.decision is not None and find_settling_reason(one.decision) is not None:
            settled += 1
            continue
        after = None if one.decision is None else decide_action(input_of(one.decision), bundle, now=one.decision.decided_at)
        if one.decision is None or after is None or (_is_unsure(after) and not _is_unsure(one.decision)):
            undecidable += 1
            continue
        compared += 1
        tally.add(one.decision, after)
    return BacktestReport(
        bundle_sha256=bundle.sha256,
        decisions=decisions,
        settled=settled,
        undecidable=undecidable,
        compared=compared,
        changed=sum(len(amounts) for amounts in tally.changes.values()),
        other_reasons=tally.other_reasons,
        changes=tuple(
            Change(before, after, len(amounts), _sum(amounts)) for (before, after), amounts in sorted(tally.changes.items())
        ),
        rules=tuple(
            RuleChange(policy_id, code, outcome, effect, rule.decisions, len(rule.amounts), _sum(rule.amounts.values()))
            for (effect, policy_id, code, outcome), rule in sorted(tally.rules.items())
        ),
        newly_allowed=tuple(tally.listed[Outcome.ALLOW][:MAX_LISTED]),
        newly_denied=tuple(tally.listed[Outcome.DENY][:MAX_LISTED]),
    )


def drift_of(report: BacktestReport) -> int:
    """Return how many of a thousand compared decisions change their outcome, rounded up: one change is never none."""
    return 0 if report.compared == 0 else -(-report.changed * 1000 // report.compared)


def _is_unsure(decision: Decision) -> bool:
    return any(reason.code == COULD_NOT_DECIDE and reason.policy_id == _ENGINE for reason in decision.reasons)


def _sum(amounts: Iterable[tuple[str, int]]) -> Exposure:
    sums: dict[str, int] = {}
    for currency, minor in amounts:
        if minor:
            sums[currency] = sums.get(currency, 0) + minor
    return dict(sorted(sums.items()))
