"""From a recorded decision back to what it was made from."""

from __future__ import annotations

from domain.decision import Decision, Reason
from domain.proposal import ModelTrace
from gates.decide import DecisionInput

# Reasons that the gate gives itself, without asking a policy: malformed, refused, expired, frozen.
SETTLED_BY = "gate"
_NOT_RECORDED = "0" * 64


def input_of(decision: Decision) -> DecisionInput:
    """Return the input of a recorded decision; what only the proposal says of the model stays out, nothing is decided from it."""
    return DecisionInput(
        decision_id=decision.decision_id,
        action=decision.action,
        operator_id=decision.operator_id,
        origins=decision.origins,
        facts=decision.facts,
        score=decision.score,
        trace=ModelTrace(
            prompt_id=decision.prompt_id,
            prompt_sha256=decision.prompt_sha256,
            masked_prompt_sha256=_NOT_RECORDED,
            model=decision.model,
            generated_by="template",
        ),
        approval_id=decision.approval_id,
        previous_decision_id=decision.previous_decision_id,
        hold_transfer_id=decision.hold_transfer_id,
        closing_reason=find_settling_reason(decision),
    )


def find_settling_reason(decision: Decision) -> Reason | None:
    """Return why no policy was asked, or None when one was."""
    if len(decision.reasons) == 1 and decision.reasons[0].policy_id == SETTLED_BY:
        return decision.reasons[0]
    return None
