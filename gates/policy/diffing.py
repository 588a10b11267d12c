"""What does one bundle decide otherwise than another? By its rules, and by acts made around every constant in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import cedarpy

from domain.decision import Decision
from domain.origin import Origin
from domain.proposal import NO_CURRENCY, ActionKind, ArgumentOrigin
from gates.decide import DecisionInput, FactValue, decide_action
from gates.examples import example_document
from gates.policy.bundle import PERMITS, RESTRICTIONS, PolicyBundle
from gates.pure import decide_document
from gates.replay.inputs import input_of
from gates.score.model import ScoreModel

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_MAX_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class RuleChange:
    """Hold one rule that differs, as text. `before` is None for an added rule, `after` for a removed one."""

    policy_id: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class OutcomeChange:
    """Hold how many of the tried acts of a kind went from one outcome to another."""

    kind: str
    before: str
    after: str
    acts: int


@dataclass(frozen=True, slots=True)
class Example:
    """Hold one act that the two bundles decide differently: what was changed in a harmless act, and both answers."""

    kind: str
    changed: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BundleDiff:
    """Hold a whole comparison. `acts` is how many were tried; `reasons_changed` those with the same outcome for other reasons."""

    old_sha256: str
    new_sha256: str
    settings: Mapping[str, tuple[Any, Any]]
    rules: tuple[RuleChange, ...]
    acts: int
    outcomes: tuple[OutcomeChange, ...]
    reasons_changed: int
    examples: tuple[Example, ...]

    def is_empty(self) -> bool:
        """Say that nothing differs that was looked at."""
        return not (self.settings or self.rules or self.outcomes or self.reasons_changed)


@dataclass(frozen=True, slots=True)
class _Constants:
    """Hold every constant of two bundles; `moved` are the numbers that only one of them has: there the difference is found."""

    numbers: tuple[int, ...]
    moved: tuple[int, ...]
    texts: tuple[str, ...]

    def draw(self, rng: Random) -> int:
        pool = self.moved if self.moved and rng.randrange(2) == 0 else self.numbers
        return max(0, rng.choice(pool) + rng.choice([-1, 0, 1]))


def diff_bundles(old: PolicyBundle, new: PolicyBundle, *, scorecard: ScoreModel, seed: int = 1, count: int = 2_000) -> BundleDiff:
    """Compare two bundles. `count` acts are tried, the same ones for the same seed."""
    outcomes: Counter[tuple[str, str, str]] = Counter()
    examples: list[Example] = []
    reasons_changed = 0
    for request, changed in _make_acts(old, new, scorecard, Random(seed), count):  # noqa: S311 - reproducible acts, no secret
        before, after = decide_action(request, old, now=_NOW), decide_action(request, new, now=_NOW)
        if _summarize(before) == _summarize(after):
            continue
        kind = request.action.kind.value
        if before.outcome is after.outcome:
            reasons_changed += 1
        else:
            outcomes[kind, before.outcome.value, after.outcome.value] += 1
        if len(examples) < _MAX_EXAMPLES:
            examples.append(Example(kind, changed, _summarize(before), _summarize(after)))
    return BundleDiff(
        old_sha256=old.sha256,
        new_sha256=new.sha256,
        settings=_diff_settings(old, new),
        rules=_diff_rules(old, new),
        acts=count,
        outcomes=tuple(OutcomeChange(*key, acts=acts) for key, acts in sorted(outcomes.items())),
        reasons_changed=reasons_changed,
        examples=tuple(examples),
    )


def _summarize(decision: Decision) -> tuple[str, ...]:
    return (decision.outcome.value, *(reason.code for reason in decision.reasons))


def _diff_settings(old: PolicyBundle, new: PolicyBundle) -> dict[str, tuple[Any, Any]]:
    before, after = old.manifest.model_dump(mode="json"), new.manifest.model_dump(mode="json")
    return {name: (before[name], after[name]) for name in before if name != "files" and before[name] != after[name]}


def _diff_rules(old: PolicyBundle, new: PolicyBundle) -> tuple[RuleChange, ...]:
    before, after = _read_policies(old), _read_policies(new)
    changed = [policy_id for policy_id in sorted({*before, *after}) if before.get(policy_id) != after.get(policy_id)]
    return tuple(
        RuleChange(policy_id, _render_policy(before.get(policy_id)), _render_policy(after.get(policy_id)))
        for policy_id in changed
    )


def _read_policies(bundle: PolicyBundle) -> dict[str, Any]:
    policies: dict[str, Any] = {}
    for name in (PERMITS, RESTRICTIONS):
        parsed = json.loads(cedarpy.policies_to_json_str(bundle.content["files"][name]))
        policies |= {policy["annotations"]["id"]: policy for policy in parsed["staticPolicies"].values()}
    return policies


def _render_policy(policy: Any) -> str | None:
    if policy is None:
        return None
    return cedarpy.policies_from_json_str(json.dumps({"staticPolicies": {"p": policy}, "templates": {}, "templateLinks": []}))


def _find_constants(old: PolicyBundle, new: PolicyBundle) -> _Constants:
    (old_numbers, old_texts), (new_numbers, new_texts) = _list_literals(old), _list_literals(new)
    return _Constants(
        numbers=tuple(sorted({0, 1} | old_numbers | new_numbers)),
        moved=tuple(sorted(old_numbers ^ new_numbers)),
        texts=tuple(sorted({"something_else"} | old_texts | new_texts)),
    )


def _list_literals(bundle: PolicyBundle) -> tuple[set[int], set[str]]:
    numbers: set[int] = set()
    texts: set[str] = set()
    waiting: list[Any] = list(_read_policies(bundle).values())
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            value = node.get("Value")
            if type(value) is int:
                numbers.add(value)
            elif isinstance(value, str):
                texts.add(value)
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return numbers, texts


def _make_acts(
    old: PolicyBundle, new: PolicyBundle, scorecard: ScoreModel, rng: Random, count: int
) -> Iterator[tuple[DecisionInput, tuple[str, ...]]]:
    """Yield acts of every kind in turn: an example with one to three things changed to a value at the edge of a constant."""
    constants = _find_constants(old, new)
    kinds = [kind for kind in ActionKind if kind is not ActionKind.UNLISTED]
    bases = [input_of(decide_document(example_document(kind), bundle=new, scorecard=scorecard)) for kind in kinds]
    for number in range(count):
        request = bases[number % len(bases)]
        changed: list[str] = []
        for _ in range(rng.choice([1, 1, 2, 3])):
            request, what = _change_one(request, constants, rng)
            changed.append(what)
        yield request, tuple(changed)


def _change_one(request: DecisionInput, constants: _Constants, rng: Random) -> tuple[DecisionInput, str]:
    what = rng.choice(["amount", "origin", "score", "currency", "fact", "fact", "fact"])
    has_money = request.action.currency != NO_CURRENCY
    if what == "amount" and has_money:
        amount_minor = constants.draw(rng)
        action = request.action.model_copy(update={"amount_minor": amount_minor})
        facts = _widen(request.facts, amount_minor)
        return replace(request, action=action, facts=facts), f"amount_minor={amount_minor}"
    if what == "currency" and has_money:
        currency = rng.choice(["EUR", "USD", "JPY", "KWD", "PLN", "XAU", *[text for text in constants.texts if len(text) == 3]])
        action = request.action.model_copy(update={"currency": currency})
        facts = {name: currency if name.endswith(".currency") else value for name, value in request.facts.items()}
        return replace(request, action=action, facts=facts), f"currency={currency}"
    if what == "origin" and request.origins:
        place, origin = rng.randrange(len(request.origins)), rng.choice(list(Origin))
        changed = ArgumentOrigin(argument=request.origins[place].argument, origin=origin)
        origins = (*request.origins[:place], changed, *request.origins[place + 1 :])
        return replace(request, origins=origins), f"origins.{changed.argument}={origin.value}"
    if what == "score":
        score = min(1000, constants.draw(rng))
        return replace(request, score=request.score.model_copy(update={"score": score})), f"score={score}"
    name = rng.choice(sorted(request.facts))
    value = _change_fact(request.facts[name], constants, rng)
    return replace(request, facts={**request.facts, name: value}), f"{name}={value}"


def _widen(facts: Mapping[str, FactValue], amount_minor: int) -> dict[str, FactValue]:
    """Let what bounds an amount follow it, so that the rule at the constant is met and not the remainder before it."""
    bounds = {"transaction.remaining_minor", "transaction.amount_minor", "dispute.charge_minor", "hold.amount_minor"}
    bounds |= {"operator.limit_minor", "beneficiary.max_paid_minor"}
    if facts.get("dispute.provisional_minor"):
        bounds.add("dispute.provisional_minor")
    return {name: max(value, amount_minor) if name in bounds and type(value) is int else value for name, value in facts.items()}


def _change_fact(value: FactValue, constants: _Constants, rng: Random) -> FactValue:
    if type(value) is bool:
        return not value
    if type(value) is int:
        return constants.draw(rng)
    return rng.choice(constants.texts)
