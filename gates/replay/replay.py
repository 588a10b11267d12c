"""Decide history again under the bundles that decided it: the same bytes, or a name for each difference."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.canonical import canonical_bytes
from domain.decision import Decision
from gates.decide import decide_action
from gates.policy.bundle import PolicyBundle
from gates.replay.inputs import input_of
from gates.replay.reading import RecordedDecision, plain
from gates.score.model import ScoreModel, score_facts

MAX_DIFFERENCES = 20
# What the event in the log says beside the row, in its own words.
_LOGGED = (
    "outcome", "reasons", "action", "action_digest", "origins", "facts_digest", "policy_bundle_sha256", "policy_version",
    "engine_version", "operator_id", "previous_decision_id", "approval_id", "hold_transfer_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """Hold one field in which the recorded decision is not the one that its input gives. `where`: decision, score or log."""

    decision_id: str
    where: str
    field: str
    recorded: Any
    replayed: Any


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Hold what came of it. `digest` is SHA-256 over the replayed decisions: equal on every machine.

    `undecidable` were not decided again, because their bundle or their row cannot be read; `problems` says which, once each.
    """

    decisions: int
    identical: int
    differing: int
    undecidable: int
    rescored: int
    differences: tuple[Difference, ...]
    problems: tuple[str, ...]
    digest: str

    @property
    def is_identical(self) -> bool:
        """Say whether every decision came out the same, byte for byte."""
        return self.identical == self.decisions


def replay_decisions(
    recorded: Iterable[RecordedDecision],
    bundles: Mapping[str, PolicyBundle],
    models: Mapping[str, ScoreModel],
    *,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ReplayReport:
    """Decide each again from its recorded input and compare every byte; the score too, where its model is known. Pure."""
    decisions = identical = differing = undecidable = rescored = 0
    differences: list[Difference] = []
    problems: dict[str, None] = {}
    digest = hashlib.sha256()
    for one in recorded:
        decisions += 1
        on_progress(decisions)
        bundle = bundles.get(one.decision.policy_bundle_sha256) if one.decision else None
        if one.decision is None or bundle is None:
            undecidable += 1
            problems.setdefault(one.problem or f"bundle {one.decision.policy_bundle_sha256 if one.decision else '?'} is missing")
            continue
        again = decide_action(input_of(one.decision), bundle, now=one.decision.decided_at)
        digest.update(canonical_bytes(plain(again)))
        found = [*_compare_score(one.decision, models), *_compare(one.decision, again), *_compare_with_log(one)]
        rescored += one.decision.score.model_ref in models
        differing += bool(found)
        identical += not found
        differences += found[: max(0, MAX_DIFFERENCES - len(differences))]
    return ReplayReport(
        decisions=decisions,
        identical=identical,
        differing=differing,
        undecidable=undecidable,
        rescored=rescored,
        differences=tuple(differences),
        problems=tuple(problems),
        digest=digest.hexdigest(),
    )


def _compare(recorded: Decision, replayed: Decision) -> list[Difference]:
    left, right = plain(recorded), plain(replayed)
    if canonical_bytes(left) == canonical_bytes(right):
        return []
    return [
        Difference(recorded.decision_id, "decision", name, left[name], right[name]) for name in left if left[name] != right[name]
    ]


def _compare_score(recorded: Decision, models: Mapping[str, ScoreModel]) -> list[Difference]:
    model = models.get(recorded.score.model_ref)
    if model is None:
        return []
    again = score_facts(recorded.facts, model)
    if again == recorded.score:
        return []
    left, right = recorded.score.model_dump(mode="json"), again.model_dump(mode="json")
    return [
        Difference(recorded.decision_id, "score", name, left[name], right[name]) for name in left if left[name] != right[name]
    ]


def _compare_with_log(one: RecordedDecision) -> list[Difference]:
    """The row could be rewritten by whoever owns the database; its event is a leaf of the log."""
    if one.decision is None:
        return []
    if one.logged is None:
        return [Difference(one.decision_id, "log", "event", "a row", "no event in the log")]
    row = plain(one.decision)
    return [
        Difference(one.decision_id, "log", name, row[name], one.logged[name])
        for name in _LOGGED
        if name in one.logged and row[name] != one.logged[name]
    ]
