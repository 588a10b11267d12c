"""The story of a decision in plain sentences, made of records and reason codes. No model takes part. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domain.origin import Origin
from domain.proposal import ArgumentOrigin

if TYPE_CHECKING:
    from gates.explanation import AnswerTold, EffectTold, Explanation, PromptTold

_STAFF = "staff"


def write_lines(told: Explanation) -> tuple[str, ...]:
    """Write the story as plain sentences, in its order. Made of the records and of reason codes; no model takes part."""
    decision, action = told.decision, told.decision.action
    lines = []
    if told.message is not None:
        lines.append(f'{told.message.operator_id} wrote, masked: "{told.message.masked_text}"')
    lines.append(f"{_write_author(told.prompt)} proposed: {action.kind.value} {_write_arguments(told.proposed)}")
    lines += [_write_origin(origin) for origin in decision.origins]
    lines.append(f"{len(decision.facts)} facts were read from our own records (digest {decision.facts_digest[:12]}).")
    lines.append(
        f"The score was {decision.score.score} of 1000 ({decision.score.model_ref.rpartition(':')[0]})"
        f"{': ' + ', '.join(decision.score.reason_codes) if decision.score.reason_codes else ''}."
    )
    for step in told.chain:
        mark = " (this decision)" if step.decision_id == decision.decision_id else ""
        lines.append(f"{step.decided_at:%Y-%m-%d %H:%M:%S} UTC, policy {step.policy_version}: {step.outcome.value}{mark}.")
        lines += [f"  {reason.sentence}" for reason in step.reasons]
        lines += [_write_answer(answer) for answer in told.answers if answer.decision_id == step.decision_id]
        lines += [_write_effect(effect) for effect in told.effects if effect.decision_id == step.decision_id]
    if not told.effects:
        lines.append("Nothing was done.")
    if told.nearest is not None:
        lines.append(told.nearest)
    place = "waits for its place in the log" if told.log.position is None else f"stands at {told.log.position} in the log"
    lines.append(f"The decision {place}.")
    return tuple(lines)


def _write_author(prompt: PromptTold) -> str:
    if prompt.generated_by == _STAFF:
        return "A member of staff"
    return (
        f"{prompt.model} ({prompt.prompt_id}, prompt {prompt.prompt_sha256[:12]}, masked text {prompt.masked_prompt_sha256[:12]},"
        f" training data {prompt.training_data_sha256[:13]})"
    )


_ORIGINS = {
    Origin.LEDGER: "is on our own records",
    Origin.KYC_VERIFIED: "was verified with the customer",
    Origin.STAFF: "was named by staff",
    Origin.DERIVED: "follows from trusted values",
    Origin.CUSTOMER_TEXT: "is only in the customer's text",
    Origin.DOCUMENT: "is only in a document",
    Origin.KNOWLEDGE_BASE: "is only in the knowledge base",
    Origin.MODEL: "was found nowhere: the model chose it",
}


def _write_origin(origin: ArgumentOrigin) -> str:
    rule = f" by {origin.derivation}" if origin.derivation else ""
    return f"  {origin.argument} {_ORIGINS[origin.origin]}{rule}."


def _write_arguments(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(arguments.items())) or "(nothing that can be read)"


def _write_answer(answer: AnswerTold) -> str:
    verb = "approved" if answer.verdict == "approve" else "refused"
    return f'  {answer.operator_id} {verb} it at {answer.answered_at:%H:%M:%S} UTC: "{answer.reason}"'


_DONE = {
    "ledger.transfer_posted": "posted",
    "ledger.hold_placed": "set aside",
    "ledger.hold_posted": "posted what was set aside",
    "ledger.hold_voided": "released what was set aside",
    "gate.executed": "done, without money",
}


def _write_effect(effect: EffectTold) -> str:
    done = _DONE.get(effect.event_type, effect.event_type)
    if effect.transfer_id is None:
        return f"  It was {done}."
    sides = (effect.debit_balance_after_minor, effect.credit_balance_after_minor)
    after = " and ".join("(rolled up)" if side is None else str(side) for side in sides)
    return (
        f"  It was {done}: {effect.amount_minor} minor units of {effect.currency}, {effect.debit} -> {effect.credit}"
        f" ({effect.transfer_id}); balances after it {after}."
    )
