"""What the gate answers: one of four outcomes, all reasons in precedence, and what it was decided from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from domain.proposal import Action, ArgumentOrigin


class Outcome(StrEnum):
    """Name an answer of the gate. Precedence when rules disagree: deny > hold > review > allow."""

    ALLOW = "allow"
    REVIEW = "review"
    HOLD = "hold"
    DENY = "deny"


PRECEDENCE: tuple[Outcome, ...] = (Outcome.DENY, Outcome.HOLD, Outcome.REVIEW, Outcome.ALLOW)


def worst_outcome(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome that wins. No outcome at all is a deny: nothing permits it."""
    present = set(outcomes)
    for outcome in PRECEDENCE:
        if outcome in present:
            return outcome
    return Outcome.DENY


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(_Frozen):
    """Hold one rule that matched: its stable code, what it asks for, and the policy that holds it."""

    code: str
    outcome: Outcome
    policy_id: str


class ScoreResult(_Frozen):
    """Hold an integer score and what drove it. Higher is riskier, 0 to 1000."""

    score: Annotated[int, Field(ge=0, le=1000)]
    reason_codes: tuple[str, ...]
    model_ref: str


class Decision(_Frozen):
    """Hold one decision. Immutable; an approval makes another one that names it in `previous_decision_id`.

    `hold_transfer_id`: the open hold of this chain that an allow posts. `hold_expires_at`: until when a hold keeps the amount.
    """

    decision_id: Annotated[str, Field(pattern=r"^dec_[0-9a-f]{32}$")]
    tenant_id: str
    proposal_id: str
    outcome: Outcome
    reasons: tuple[Reason, ...]
    action: Action
    action_digest: str
    origins: tuple[ArgumentOrigin, ...]
    facts: dict[str, bool | int | str | None]
    facts_digest: str
    score: ScoreResult
    policy_bundle_sha256: str
    policy_version: str
    engine_version: str
    prompt_id: str
    prompt_sha256: str
    model: str
    operator_id: str
    approval_id: str | None = None
    previous_decision_id: str | None = None
    hold_transfer_id: str | None = None
    hold_expires_at: datetime | None = None
    decided_at: datetime
    expires_at: datetime
