"""What the money process answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.decision import Decision


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


class PostingView(_View):
    """Hold a posting, read back from the ledger. `balance_after_minor`: the customer's side, 0 where neither side is one."""

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
    """Say whether the receipt can be had, and the place of its last record in the log."""

    state: Literal["pending", "ready"]
    position: int | None


class ExecutionView(_View):
    """Say what came of carrying out an act, where it is no posting: it was held, done without money, or stopped."""

    code: str
    message: str


class DecisionView(_View):
    """Hold a decision and what came of it, with a sentence for each reason code, for people only."""

    decision: Decision
    posting: PostingView | None
    review: ReviewView | None
    receipt: ReceiptState
    execution: ExecutionView | None = None
    reason_texts: dict[str, str]


class ReviewList(_View):
    """Hold reviews with their decisions, the oldest first."""

    reviews: tuple[DecisionView, ...]
