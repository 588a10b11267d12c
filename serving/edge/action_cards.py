"""What a proposed act looks like to a person: resolved from records and the decision, never from the model's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from domain.errors import NotFound
from domain.money import InvalidMoney, Money, render_money
from domain.proposal import MONEY_KINDS, ActionKind
from domain.roles import Role
from serving.edge.act_records import ActLine, ActPlace, describe_subject
from serving.edge.boundary import Viewer
from serving.edge.message_store import StoredProposal, find_conversation, find_proposal_place, list_grants
from serving.edge.money_views import DecisionView
from serving.edge.records import RecordReader, Transaction
from serving.edge.sessions import SignedIn

_MAX_WORD_CHARACTERS = 100
NO_MONEY = "no money"


@dataclass(frozen=True, slots=True)
class ActionCard:
    """Hold one proposed act. `view` is None until the gate answered; `undecided` then says why, as a code.

    `act` is what buttons repeat: amount and payee, or what is changed. `lines` say what it is about.
    `blocked` says why this viewer cannot give a verdict, "" when he can.
    """

    proposal_id: str
    conversation_id: str
    customer_id: str
    kind: str
    amount: str
    reason_code: str
    handle: str
    transaction: Transaction | None
    payee: str
    act: str
    lines: tuple[ActLine, ...]
    generated_by: str
    model: str
    proposed_by: str
    view: DecisionView | None
    undecided: str
    blocked: str


@dataclass(frozen=True, slots=True)
class CardBuilder:
    """Build cards for a viewer."""

    records: RecordReader

    async def build(self, signed_in: SignedIn, proposal_id: str, *, view: DecisionView | None, undecided: str) -> ActionCard:
        """Build the card of a proposal. Raises: NotFound for one of another workspace."""
        return await run_in_threadpool(self._build, signed_in, proposal_id, view, undecided)

    def _build(self, signed_in: SignedIn, proposal_id: str, view: DecisionView | None, undecided: str) -> ActionCard:
        viewer = Viewer.of(signed_in)
        with self.records.database.work(signed_in.tenant_id) as connection:
            conversation_id, proposal = find_proposal_place(connection, tenant_id=signed_in.tenant_id, proposal_id=proposal_id)
            conversation = find_conversation(connection, tenant_id=signed_in.tenant_id, conversation_id=conversation_id)
            grants = list_grants(connection, tenant_id=signed_in.tenant_id, conversation_id=conversation_id)
        handle = _word(proposal.arguments.get("transaction", ""))
        ref = next((grant.ref for grant in grants if grant.handle == handle and grant.granted), None)
        transaction = self._transaction(viewer, conversation.customer_id, ref)
        place = ActPlace(
            conversation_id=conversation_id,
            message_id=proposal.message_id,
            customer_id=conversation.customer_id,
            customer_name=self.records.read_customer(viewer, conversation.customer_id).name or conversation.customer_id,
            grants={grant.handle: grant for grant in grants},
        )
        subject = describe_subject(
            self.records, viewer, place, proposal.arguments, None if view is None else view.decision.action
        )
        payee = self._payee(viewer, place, transaction) if transaction else subject.target
        amount = _amount_of(proposal, view)
        return ActionCard(
            proposal_id=proposal_id,
            conversation_id=conversation_id,
            customer_id=conversation.customer_id,
            kind=_word(proposal.kind),
            amount=amount,
            reason_code=_word(proposal.arguments.get("reason_code", "")),
            handle=handle,
            transaction=transaction,
            payee=payee,
            act=f"{amount} to {payee}" if amount != NO_MONEY else f"{_word(proposal.kind).replace('_', ' ')}: {payee}",
            lines=subject.lines,
            generated_by=_word(proposal.trace.get("generated_by", "model")),
            model=_word(proposal.trace.get("model", "")),
            proposed_by=conversation.operator_name,
            view=view,
            undecided=undecided,
            blocked=why_blocked(signed_in, view),
        )

    def _transaction(self, viewer: Viewer, customer_id: str, ref: str | None) -> Transaction | None:
        if ref is None:
            return None
        try:
            return self.records.read_transaction(viewer, customer_id=customer_id, transaction_id=ref)
        except NotFound:
            return None

    def _payee(self, viewer: Viewer, place: ActPlace, transaction: Transaction) -> str:
        tail = self.records.account_tail(viewer, place.customer_id, transaction.account_id)
        return f"{place.customer_name}, account {tail}" if tail else place.customer_name


def why_blocked(signed_in: SignedIn, view: DecisionView | None) -> str:
    """Say why this person cannot approve or refuse, as a code; "" when he can. The money process checks the same again."""
    if view is None or view.review is None or view.review.state != "open":
        return "no_open_review"
    if not signed_in.has(Role.APPROVER):
        return "not_an_approver"
    if view.decision.operator_id == signed_in.operator_id:
        return "own_proposal"
    return ""


def _word(value: Any) -> str:
    """Make what the agents process wrote fit to be shown: short, and without characters that a screen or a terminal obeys."""
    text = value if isinstance(value, str) else ""
    return "".join(character if character.isprintable() else "\ufffd" for character in text[:_MAX_WORD_CHARACTERS])


def _amount_of(proposal: StoredProposal, view: DecisionView | None) -> str:
    amount_minor, currency = proposal.arguments.get("amount_minor"), proposal.arguments.get("currency")
    if view is not None:
        amount_minor, currency = view.decision.action.amount_minor, view.decision.action.currency
    moves_none = proposal.kind in set(ActionKind) - MONEY_KINDS - {ActionKind.UNLISTED}
    return NO_MONEY if moves_none else _render(amount_minor, currency)


def _render(amount_minor: Any, currency: Any) -> str:
    try:
        return render_money(Money(amount_minor, str(currency)))
    except InvalidMoney:
        return "no valid amount"
