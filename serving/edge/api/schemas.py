"""What goes over the wire under /api/v1. Stable: fields are added, never renamed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.conversation import Citation
from domain.decision import Decision, Outcome
from serving.edge.action_cards import ActionCard
from serving.edge.money_views import DecisionView, ExecutionView, PostingView, QueueItem, ReviewView
from serving.edge.plain_text import NOTICES, UNDECIDED_TEXTS, reason_text
from serving.edge.transcript import ShownSentence
from serving.edge.turn_events import TurnFinished


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SignInBody(_Wire):
    """What to sign in with."""

    tenant_id: Annotated[str | None, Field(max_length=40, examples=["demo"])] = None
    username: Annotated[str, Field(min_length=1, max_length=100, examples=["ada"])]
    password: Annotated[str, Field(min_length=1, max_length=256, examples=["correct-horse"])]


class SessionOut(_Wire):
    """A session; `token` goes into `Authorization: Bearer`. It is shown once."""

    token: str
    expires_at: datetime
    tenant_id: str
    operator_id: str
    display_name: str
    roles: list[str]


class CallerOut(_Wire):
    """Who the caller is."""

    tenant_id: str
    operator_id: str
    username: str
    display_name: str
    roles: list[str]
    expires_at: datetime


class CustomerOut(_Wire):
    """One customer as the caller may see him."""

    customer_id: str
    name: str
    country: str
    language: str
    segment: str
    kyc_status: str


class CustomerPage(_Wire):
    """One page of customers; ask again with `offset` for more."""

    items: list[CustomerOut]
    total: int
    offset: int


class AccountOut(_Wire):
    """One account."""

    account_id: str
    number: str
    product: str
    currency: str
    status: str


class CardOut(_Wire):
    """One card."""

    card_id: str
    account_id: str
    last4: str
    scheme: str
    status: str


class TransactionOut(_Wire):
    """One transaction."""

    transaction_id: str
    account_id: str
    kind: str
    status: str
    amount_minor: int
    currency: str
    descriptor: str
    merchant_name: str | None
    occurred_at: datetime
    posted_at: datetime | None
    decline_code: str | None
    related_transaction_id: str | None


class CustomerFileOut(_Wire):
    """One customer with accounts, cards and the newest transactions."""

    customer: CustomerOut
    accounts: list[AccountOut]
    cards: list[CardOut]
    transactions: list[TransactionOut]


class OpenConversationBody(_Wire):
    """Whom the conversation is about."""

    customer_id: Annotated[str, Field(min_length=1, max_length=64, examples=["cus_5f2c81a09b44"])]


class ConversationOut(_Wire):
    """A conversation."""

    conversation_id: str
    customer_id: str


class MessageBody(_Wire):
    """What the operator writes. Plain text, at most 100,000 bytes of UTF-8."""

    text: Annotated[str, Field(examples=["Was this customer charged twice by the same merchant?"])]
    customer_id: Annotated[
        str | None,
        Field(max_length=255, description="whom the caller means: refused where the conversation is about somebody else"),
    ] = None


class NoticeOut(_Wire):
    """A code and its words."""

    code: str
    text: str


class SentenceOut(_Wire):
    """One checked sentence, who wrote it and what backs it."""

    text: str
    generated_by: Literal["model", "template"]
    citations: list[Citation]

    @classmethod
    def of(cls, shown: ShownSentence) -> SentenceOut:
        """Make it from what the viewer may see."""
        return cls(
            text=shown.text,
            generated_by="model" if shown.generated_by == "model" else "template",
            citations=list(shown.citations),
        )


class ProposalOut(_Wire):
    """What was proposed. `transaction` is the handle, `transaction_id` what it stands for in this conversation."""

    proposal_id: str
    kind: str
    transaction: str
    transaction_id: str | None
    amount: str
    reason_code: str
    generated_by: str
    model: str


class ReasonOut(_Wire):
    """One reason of a decision, with its words."""

    code: str
    outcome: Outcome
    policy_id: str
    text: str


class ReceiptOut(_Wire):
    """Whether there is a receipt, where, and the receipt itself when it was asked for and is ready."""

    state: Literal["pending", "ready"]
    position: int | None
    url: str
    document: str | None = None
    """The receipt's exact text. Write it to a file as it is: a verifier accepts no other form."""


class DecisionOut(_Wire):
    """A decision with what came of it."""

    decision: Decision
    reasons: list[ReasonOut]
    posting: PostingView | None
    review: ReviewView | None
    receipt: ReceiptOut
    execution: ExecutionView | None

    @classmethod
    def of(cls, view: DecisionView) -> DecisionOut:
        """Make it from what the money process answered."""
        decision = view.decision
        return cls(
            decision=decision,
            reasons=[
                ReasonOut(
                    code=reason.code, outcome=reason.outcome, policy_id=reason.policy_id, text=reason_text(view, reason.code)
                )
                for reason in decision.reasons
            ],
            posting=view.posting,
            review=view.review,
            receipt=ReceiptOut(
                state=view.receipt.state, position=view.receipt.position, url=f"/api/v1/receipts/{decision.decision_id}"
            ),
            execution=view.execution,
        )


class ActionOut(_Wire):
    """A proposed act with the gate's answer, or why there is none."""

    proposal: ProposalOut
    decided: DecisionOut | None
    undecided: NoticeOut | None

    @classmethod
    def of(cls, card: ActionCard) -> ActionOut:
        """Make it from a card."""
        undecided = None
        if card.view is None:
            undecided = NoticeOut(code=card.undecided, text=UNDECIDED_TEXTS.get(card.undecided, card.undecided))
        return cls(
            proposal=ProposalOut(
                proposal_id=card.proposal_id,
                kind=card.kind,
                transaction=card.handle,
                transaction_id=card.transaction.transaction_id if card.transaction else None,
                amount=card.amount,
                reason_code=card.reason_code,
                generated_by=card.generated_by,
                model=card.model,
            ),
            decided=None if card.view is None else DecisionOut.of(card.view),
            undecided=undecided,
        )


class AnswerOut(_Wire):
    """A whole answer. `proposal`, `decision`, `posting`, `review` and `receipt` repeat the last of `actions` for scripts."""

    message_id: str
    conversation_id: str
    customer_id: str
    state: Literal["complete", "interrupted"]
    answer_id: str
    model: str
    notice: NoticeOut | None
    sentences: list[SentenceOut]
    citations: list[Citation]
    actions: list[ActionOut]
    proposal: ProposalOut | None
    decision: Decision | None
    reasons: list[ReasonOut]
    posting: PostingView | None
    review: ReviewView | None
    receipt: ReceiptOut | None


class VerdictBody(_Wire):
    """A verdict on a review, bound to the digest of the action that was read."""

    action_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reason: Annotated[str, Field(max_length=1000)] = ""


class ReviewList(_Wire):
    """What waits for a person: escalated first, then the riskiest. `groups` is the same with floods as one item."""

    items: list[DecisionOut]
    groups: list[QueueItem] = []


class PassageOut(_Wire):
    """One passage of the knowledge base."""

    ref: str
    title: str
    heading_path: str
    text: str


class ProblemOut(_Wire):
    """What went wrong (RFC 9457). `code` is stable; `detail` says what to do."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] = []


class HealthOut(_Wire):
    """The state of each part: up, starting, off or down."""

    ready: bool
    parts: dict[str, str]


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": {"application/problem+json": {"schema": ProblemOut.model_json_schema()}}}
    for status, words in (
        (400, "the body cannot be read"),
        (401, "no live session"),
        (403, "a missing role, or somebody else's"),
        (404, "no such thing in this workspace"),
        (409, "not in this state"),
        (413, "too large"),
        (422, "malformed, or a key that was used for something else"),
        (429, "too many tries: see Retry-After"),
        (503, "a part is down: nothing was done, try again"),
    )
}


def notice_of(ending: TurnFinished) -> NoticeOut | None:
    """Return the words of how a turn ended, None when all went well."""
    if not ending.notice:
        return None
    return NoticeOut(code=ending.notice, text=NOTICES.get(ending.notice, ending.notice))
