"""What the money process answers, as this process reads it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.decision import Decision


class _View(BaseModel):
    # Another process may be newer and say more; what it says beyond this is not shown.
    model_config = ConfigDict(frozen=True, extra="ignore")


class PostingView(_View):
    """Hold what the ledger posted, read back from it."""

    transfer_id: str
    amount_minor: int
    currency: str
    debit: str
    credit: str
    posted_at: datetime
    balance_after_minor: int


class ReviewView(_View):
    """Hold the review that a decision opened."""

    review_id: str
    state: Literal["open", "approved", "refused", "expired"]
    expires_at: datetime
    required_approvals: int


class ReceiptState(_View):
    """Say whether the receipt can be had yet, and its place in the log."""

    state: Literal["pending", "ready"]
    position: int | None = None


class ExecutionView(_View):
    """Say what the executing function answered, when it did not post."""

    code: str
    message: str = ""


class DecisionView(_View):
    """Hold one decision and what came of it."""

    decision: Decision
    posting: PostingView | None = None
    review: ReviewView | None = None
    receipt: ReceiptState = ReceiptState(state="pending")
    execution: ExecutionView | None = None
    reason_texts: dict[str, str] = {}


class QueuedReview(_View):
    """Hold one open review as the queue shows it. `priority` is 0 upwards, the riskier the higher; a claim may be over."""

    review_id: str
    proposal_id: str
    decision_id: str
    priority: int
    opened_at: datetime
    expires_at: datetime
    escalated_at: datetime | None
    required_approvals: int
    answers: int
    claimed_by: str | None
    claimed_until: datetime | None
    action_digest: str
    amount_minor: int
    currency: str


class QueueItem(_View):
    """Hold one line of the queue: a review, or three and more alike of one source. The riskiest member is the first."""

    group_key: str
    operator_id: str
    action_kind: str
    codes: tuple[str, ...]
    riskiest: str
    members: tuple[QueuedReview, ...]
    total_minor: dict[str, int]


class ClaimView(_View):
    """Hold a review and who holds it."""

    review_id: str
    state: Literal["open", "approved", "refused", "expired"]
    claimed_by: str | None
    claimed_until: datetime | None


class OverruleRate(_View):
    """Hold how often people decided against a rule (they approved) or a model (they refused), of what they answered."""

    name: str
    version: str
    answered: int
    overruled: int
    permille: int


class Pace(_View):
    """Hold how fast a person answered within an hour. Fast is under 5 s, bulk is 10 or more verdicts within 5 minutes."""

    operator_id: str
    hour: datetime
    verdicts: int
    approved: int
    median_handled_s: int | None
    fast: int
    most_within_5min: int
    is_bulk: bool


class ReviewStats(_View):
    """Hold what reviews taught: overrule rates, and the pace of the last seven days."""

    by_rule: tuple[OverruleRate, ...]
    by_model: tuple[OverruleRate, ...]
    pace: tuple[Pace, ...]


class FreezeView(_View):
    """Hold one freeze. It stands while `thawed_at` is null; `subject` is "" for the whole workspace."""

    freeze_id: str
    scope: Literal["tenant", "kind", "operator"]
    subject: str
    frozen_by: str
    frozen_at: datetime
    reason: str
    thawed_by: str | None
    thawed_at: datetime | None


class Freezes(_View):
    """Hold freezes, those that stand first."""

    items: tuple[FreezeView, ...]


class DigestLine(_View):
    """Hold one kind of act in one currency. Acts that move no money have amount 0 in XXX."""

    action_kind: str
    currency: str
    acts: int
    amount_minor: int
    largest_minor: int


class DigestView(_View):
    """Hold what was executed on a day in UTC, by whom, and what was stopped.

    `proposed_by` and `approved_by` count executed acts by operator, `decisions` by outcome, `holds` those placed that day by how
    they stand now, `incidents` those opened by kind.
    """

    day: date
    lines: tuple[DigestLine, ...]
    proposed_by: dict[str, int]
    approved_by: dict[str, int]
    decisions: dict[str, int]
    holds: dict[str, int]
    freezes_made: int
    freezes_ended: int
    incidents: dict[str, int]


class PolicyLine(_View):
    """Hold one registered version. `aliases`: production, canary, shadow."""

    sha256: str
    version: str
    state: str
    aliases: tuple[str, ...]
    percent: int | None
    registered_by: str | None
    created_at: datetime


class PolicyChange(_View):
    """Hold what somebody wants a version to become."""

    change_id: str
    version: str
    target: str
    percent: int | None
    requested_by: str
    requested_at: datetime
    reason: str
    state: str


class Story(_View):
    """Hold a decision's story in plain sentences, and the nearest change that would let it pass."""

    lines: tuple[str, ...]
    nearest: str | None


class ArtifactName(_View):
    """Hold the versions of one name and the changes of their places."""

    kind: str
    name: str
    versions: tuple[PolicyLine, ...]
    changes: tuple[PolicyChange, ...]


class Registry(_View):
    """Hold everything that is registered, by kind and name."""

    names: tuple[ArtifactName, ...]
