"""What the money process answers, as this process reads it."""

from __future__ import annotations

from datetime import datetime
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
