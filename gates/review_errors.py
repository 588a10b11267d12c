"""What a review refuses a person, each with its code."""

from __future__ import annotations

from domain.errors import Conflict, Forbidden


class NotAnApprover(Forbidden):
    """Say that the person has no approver's role."""

    code = "not_an_approver"


class OwnProposal(Forbidden):
    """Say that a person tried to decide on what he asked for himself."""

    code = "own_proposal"


class OtherAction(Conflict):
    """Say that the digest is not that of the action under review: what he read is not what would execute."""

    code = "action_digest_mismatch"


class ReviewClosed(Conflict):
    """Say that the review is no longer open."""

    code = "review_closed"


class AlreadyAnswered(Conflict):
    """Say that this person has answered this review; another one has to."""

    code = "already_answered"


class StateChanged(Conflict):
    """Say that conversation, records or policy changed since the review was opened; a fresh decision stands instead."""

    code = "state_changed"


class ClaimedByOther(Conflict):
    """Say that another person holds the review now; his claim ends by itself."""

    code = "claimed_by_other"


class ReviewerBudgetSpent(Conflict):
    """Say that the person has answered as many reviews within the hour as one person can read. He may still refuse."""

    code = "reviewer_budget_spent"
