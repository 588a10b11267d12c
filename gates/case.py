"""A case: a submission with every handle resolved, its origins, facts and score. What a decision is made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection

from domain.canonical import digest_of
from domain.decision import Outcome, Reason, ScoreResult
from domain.proposal import Action, ActionKind, ArgumentOrigin, Proposal
from gates.decide import GOVERNOR, DecisionInput, FactValue, decide_action
from gates.fact_reads import OpenedCase, gather_facts, read_rows
from gates.facts import CLOCK_FACTS, BaselineFacts
from gates.fees import FeeRule
from gates.inbox import Submission
from gates.origins import OriginContext, compute_origins, find_named
from gates.policy.bundle import PolicyBundle
from gates.records import Rows, Subjects, read_mentions, read_named, read_subjects
from gates.registry import ModelShelf
from gates.resolution import ResolvedIds, make_action
from gates.usual import Payment, Usual, find_flags

_MALFORMED = Reason(code="malformed_proposal", outcome=Outcome.DENY, policy_id="gate")


@dataclass(frozen=True, slots=True)
class Case:
    """Hold everything about one act, read in one transaction.

    `settled` is why no policy is asked, if none is. `is_frozen` says that a freeze in force covers the act. `payee_tokens` are no
    facts, but an approval is bound to them.
    """

    opened: OpenedCase
    action: Action
    is_frozen: bool
    origins: tuple[ArgumentOrigin, ...]
    facts: dict[str, FactValue]
    score: ScoreResult
    settled: Reason | None
    payee_tokens: tuple[str, ...] = ()

    @property
    def submission(self) -> Submission:
        """Return what was submitted."""
        return self.opened.submission

    @property
    def operator_id(self) -> str:
        """Return who asked."""
        return self.opened.turn.operator_id

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
        return replace(self, facts={**self.facts, "approval.count": count})


def read_case(
    connection: Connection[Any],
    opened: OpenedCase,
    *,
    tenant_id: str,
    models: ModelShelf,
    now: datetime,
    fees: tuple[FeeRule, ...] = (),
) -> Case:
    """Resolve and read everything in the caller's transaction, without any approval. Raises: NoUsableScore."""
    submission, turn = opened.submission, opened.turn
    proposal = submission.proposal
    rows = read_rows(connection, opened, now=now)
    subjects = (
        Subjects(granted=False, ids=ResolvedIds(customer_id=turn.customer_id))
        if proposal is None
        else read_subjects(rows, proposal.arguments, turn, now=now)
    )
    action = make_action(
        tenant_id=tenant_id,
        proposal_id=submission.proposal_id,
        kind=submission.kind,
        arguments=None if proposal is None else proposal.arguments,
        ids=subjects.ids,
    )
    scoring = models.open(connection, opened.in_force)
    known = gather_facts(rows, turn, subjects, now=now)
    facts = replace(known, baseline=_find_flags(rows, action, subjects, scoring.find_usual(turn.customer_id))).to_record()
    return Case(
        opened=opened,
        action=action,
        is_frozen=rows["is_frozen"],
        origins=() if proposal is None else _find_origins(proposal, rows, subjects, fees),
        facts=facts,
        score=scoring.score(facts, act_kind=submission.kind.value, customer_id=turn.customer_id),
        settled=_MALFORMED if proposal is None else None,
        payee_tokens=subjects.payee_tokens,
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
            "reasons": [
                [reason.outcome.value, reason.code, reason.policy_id]
                for reason in decision.reasons
                # How much work the reviewers have says nothing about this act.
                if reason.policy_id != GOVERNOR
            ],
            "origins": [origin.model_dump(mode="json") for origin in decision.origins],
            "facts": {name: value for name, value in decision.facts.items() if name not in CLOCK_FACTS},
            "payee": list(case.payee_tokens),
        }
    )


def _find_origins(proposal: Proposal, rows: Rows, subjects: Subjects, fees: tuple[FeeRule, ...]) -> tuple[ArgumentOrigin, ...]:
    mentions = read_mentions(rows)
    targets = {record.handle for record in subjects.known}
    named = read_named(rows, find_named(mentions) - targets)
    return compute_origins(proposal.arguments, OriginContext(records=(*subjects.known, *named), mentions=mentions, fees=fees))


def _find_flags(rows: Rows, action: Action, subjects: Subjects, usual: Usual) -> BaselineFacts | None:
    """Hold the payment that the act is about against the usual: the charge that it names, or the act itself where it pays."""
    if action.transaction_id is None and action.kind is not ActionKind.PAYMENT:
        return None
    currency = (subjects.transaction or subjects.dispute or action).currency
    return find_flags(rows.get("usual"), Payment(action.customer_id or "", action.merchant_id, currency), usual)
