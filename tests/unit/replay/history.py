"""A recorded history on paper: decisions that the real gate makes of the examples, with the events that the log would hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from domain.decision import Decision, Outcome, Reason
from domain.proposal import ActionKind
from gates.decide import decide_action
from gates.examples import example_document
from gates.policy.bundle import PolicyBundle, load_bundle_content, load_bundle_directory
from gates.pure import decide_document
from gates.replay.inputs import input_of
from gates.replay.reading import RecordedDecision, plain
from gates.score.scorecard import Scorecard, load_scorecard

STARTER = Path(__file__).parents[3] / "gates" / "bundles" / "starter"
BUNDLE: PolicyBundle = load_bundle_directory(STARTER)
CARD: Scorecard = load_scorecard()
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def decide_example(
    kind: ActionKind, *, number: int = 0, facts: dict[str, Any] | None = None, amount_minor: int | None = None
) -> Decision:
    """Decide an example, with other facts (`group.fact`) or another amount."""
    document = example_document(kind)
    document["operator_id"] = f"opr_{number}"
    for name, value in (facts or {}).items():
        group, _, fact = name.partition(".")
        document["facts"][group][fact] = value
    if amount_minor is not None:
        document["proposal"]["arguments"]["amount_minor"] = amount_minor
    return decide_document(document, bundle=BUNDLE, scorecard=CARD)


def close(decision: Decision, code: str) -> Decision:
    """Return the deny that closed a decision without asking a policy."""
    request = input_of(decision)
    closing = Reason(code=code, outcome=Outcome.DENY, policy_id="gate")
    values = {name: getattr(request, name) for name in request.__dataclass_fields__}
    values |= {"decision_id": "dec_" + "c" * 32, "previous_decision_id": decision.decision_id, "closing_reason": closing}
    return decide_action(type(request)(**values), BUNDLE, now=decision.decided_at + timedelta(seconds=61))


def record(decisions: Sequence[Decision]) -> list[RecordedDecision]:
    """Return decisions as they are read back, each with its event."""
    return [RecordedDecision(decision.decision_id, decision, plain(decision)) for decision in decisions]


def make_history() -> list[Decision]:
    """Return a decision of every kind, some large ones, some denied, one that a person refused, one that names nothing."""
    history = [decide_example(kind, number=number) for number, kind in enumerate(ActionKind) if kind is not ActionKind.UNLISTED]
    history += [decide_example(ActionKind.REFUND, number=50 + step, amount_minor=100 * (step + 1)) for step in range(12)]
    history.append(decide_example(ActionKind.REFUND, number=70, facts={"operator.active": False}))
    history.append(decide_example(ActionKind.PAYMENT, number=71, facts={"account.status": "blocked"}))
    history.append(decide_example(ActionKind.UNLISTED, number=72))
    history.append(close(history[0], "review_refused"))
    return history


def change_bundle(*replacements: tuple[str, str], version: str = "changed") -> PolicyBundle:
    """Return the starter bundle with texts replaced in its policies, sealed anew."""
    import hashlib

    files = dict(BUNDLE.content["files"])
    for old, new in replacements:
        touched = [name for name, text in files.items() if old in text]
        assert touched, old
        for name in touched:
            files[name] = files[name].replace(old, new)
    manifest = dict(BUNDLE.content["manifest"])
    manifest |= {"version": version, "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}}
    return load_bundle_content({"manifest": manifest, "files": files})
