"""A case: a submission with every handle resolved, its origins, facts and score. What a decision is made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from domain.canonical import digest_of
from domain.decision import Outcome, Reason, ScoreResult
from domain.errors import NotFound
from domain.money import EXPONENTS, Money
from domain.origin import Origin
from domain.proposal import Action, ArgumentOrigin, Proposal
from gates.decide import DecisionInput, FactValue, decide_action
from gates.facts import CLOCK_FACTS, QUERIES, TransactionRecord, Turn, find_transaction, find_turn, read_facts
from gates.inbox import Submission
from gates.origins import AmountMention, KnownTransaction, OriginContext, compute_origins
from gates.policy.bundle import PolicyBundle
from gates.score.scorecard import Scorecard, score_action

# ISO 4217: no currency is involved. What a malformed proposal gets, since it names none that can be read.
_NO_CURRENCY = "XXX"
_MALFORMED = Reason(code="malformed_proposal", outcome=Outcome.DENY, policy_id="gate")


@dataclass(frozen=True, slots=True)
class Case:
    """Hold everything about one act, read in one transaction. `settled` is why no policy is asked, if none is."""

    submission: Submission
    action: Action
    operator_id: str
    origins: tuple[ArgumentOrigin, ...]
    facts: dict[str, FactValue]
    score: ScoreResult
    settled: Reason | None

    def to_input(
        self,
        decision_id: str,
        *,
        previous_decision_id: str | None = None,
        approval_id: str | None = None,
        closing_reason: Reason | None = None,
    ) -> DecisionInput:
        """Return what `decide_action` takes."""
        return DecisionInput(
            decision_id=decision_id,
            action=self.action,
            operator_id=self.operator_id,
            origins=self.origins,
            facts=self.facts,
            score=self.score,
            trace=self.submission.trace,
            approval_id=approval_id,
            previous_decision_id=previous_decision_id,
            closing_reason=closing_reason or self.settled,
        )

    def with_approvals(self, count: int) -> Case:
        """Return the same case with this many valid approvals."""
        return Case(
            submission=self.submission,
            action=self.action,
            operator_id=self.operator_id,
            origins=self.origins,
            facts={**self.facts, "approval.count": count},
            score=self.score,
            settled=self.settled,
        )


def read_case(
    connection: Connection[Any], submission: Submission, *, tenant_id: str, scorecard: Scorecard, now: datetime
) -> Case:
    """Resolve and read everything in the caller's transaction, without any approval. Raises: NotFound for a lost turn."""
    turn = find_turn(connection, conversation_id=submission.conversation_id, message_id=submission.message_id)
    if turn is None:
        raise NotFound("the proposal's conversation or message does not exist")
    proposal = submission.proposal
    granted, grant_origin, transaction = (
        (False, Origin.MODEL, None) if proposal is None else _resolve(connection, proposal, turn, now)
    )
    facts = read_facts(
        connection,
        proposal_id=submission.proposal_id,
        kind=submission.kind.value,
        currency=_NO_CURRENCY if proposal is None else proposal.arguments.currency,
        turn=turn,
        granted=granted,
        transaction=transaction,
        approval_count=0,
        now=now,
    ).to_record()
    origins: tuple[ArgumentOrigin, ...] = ()
    if proposal is not None:
        origins = compute_origins(proposal.arguments, _read_origin_context(connection, proposal, turn, grant_origin, transaction))
    return Case(
        submission=submission,
        action=_make_action(submission, turn, transaction, tenant_id=tenant_id),
        operator_id=turn.operator_id,
        origins=origins,
        facts=facts,
        score=score_action(facts, scorecard),
        settled=_MALFORMED if proposal is None else None,
    )


def digest_state(case: Case, bundle: PolicyBundle, *, now: datetime) -> str:
    """Return what an approval is bound to beside the action: the policy, its reasons without approvals, and the facts.

    Facts that change because time passes stay out; when such a change matters, it changes the reasons.
    """
    unapproved = case.with_approvals(0)
    decision = decide_action(unapproved.to_input("dec_" + "0" * 32), bundle, now=now)
    return digest_of(
        {
            "action_digest": decision.action_digest,
            "policy_bundle_sha256": bundle.sha256,
            "reasons": [[reason.outcome.value, reason.code, reason.policy_id] for reason in decision.reasons],
            "origins": [origin.model_dump(mode="json") for origin in decision.origins],
            "facts": {name: value for name, value in decision.facts.items() if name not in CLOCK_FACTS},
        }
    )


def _resolve(
    connection: Connection[Any], proposal: Proposal, turn: Turn, now: datetime
) -> tuple[bool, Origin, TransactionRecord | None]:
    """Look the handle up in the conversation's grants, and nowhere else."""
    parameters = {"conversation_id": turn.conversation_id, "handle": proposal.arguments.transaction}
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(QUERIES["find_grant"], parameters).fetchone()
    if row is None or not row["granted"] or row["kind"] != "transaction":
        return False, Origin.MODEL, None
    transaction = find_transaction(connection, row["ref"], turn=turn, now=now)
    return True, _read_origin(row["origin"]), transaction


def _read_origin(text: str) -> Origin:
    return Origin(text) if text in set(Origin) else Origin.MODEL


def _read_origin_context(
    connection: Connection[Any], proposal: Proposal, turn: Turn, grant_origin: Origin, transaction: TransactionRecord | None
) -> OriginContext:
    parameters = {"conversation_id": turn.conversation_id, "until": turn.created_at}
    with connection.cursor(row_factory=dict_row) as cursor:
        mentions = cursor.execute(QUERIES["list_amount_mentions"], parameters).fetchall()
        named = cursor.execute(QUERIES["list_named_transactions"], parameters).fetchall()
    target = None
    if transaction is not None and transaction.facts.currency in EXPONENTS:
        currency = transaction.facts.currency
        target = KnownTransaction(
            handle=proposal.arguments.transaction,
            amount=Money(transaction.facts.amount_minor, currency),
            remaining=Money(transaction.facts.remaining_minor, currency),
        )
    return OriginContext(
        transaction_origin=grant_origin,
        target=target,
        others=tuple(
            KnownTransaction(handle=row["handle"], amount=Money(row["amount_minor"], row["currency"]))
            for row in named
            if row["handle"] != proposal.arguments.transaction and row["currency"] in EXPONENTS
        ),
        mentions=tuple(AmountMention(value=row["value"], origin=_read_origin(row["origin"])) for row in mentions),
    )


def _make_action(submission: Submission, turn: Turn, transaction: TransactionRecord | None, *, tenant_id: str) -> Action:
    arguments = submission.proposal.arguments if submission.proposal else None
    return Action(
        tenant_id=tenant_id,
        proposal_id=submission.proposal_id,
        kind=submission.kind,
        transaction_id=transaction.transaction_id if transaction else None,
        customer_id=turn.customer_id,
        account_id=transaction.account_id if transaction else None,
        amount_minor=arguments.amount_minor if arguments else 0,
        currency=arguments.currency if arguments else _NO_CURRENCY,
        reason_code=arguments.reason_code.value if arguments else "malformed",
    )
