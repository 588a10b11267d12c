"""A case: a submission with every handle resolved, its origins, facts and score. What a decision is made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection

from domain.canonical import digest_of
from domain.decision import Outcome, Reason, ScoreResult
from domain.errors import NotFound
from domain.proposal import Action, ArgumentOrigin, Proposal
from gates.decide import GOVERNOR, DecisionInput, FactValue, decide_action
from gates.fact_reads import find_turn, read_facts
from gates.facts import CLOCK_FACTS
from gates.fees import FeeRule
from gates.inbox import Submission
from gates.origins import OriginContext, compute_origins, find_named
from gates.policy.bundle import PolicyBundle
from gates.records import Subjects, Turn, read_mentions, read_named, read_subjects
from gates.resolution import ResolvedIds, make_action
from gates.score.scorecard import Scorecard, score_action

_MALFORMED = Reason(code="malformed_proposal", outcome=Outcome.DENY, policy_id="gate")


@dataclass(frozen=True, slots=True)
class Case:
    """Hold everything about one act, read in one transaction.

    `settled` is why no policy is asked, if none is. `payee_tokens` are no facts, but an approval is bound to them.
    """

    submission: Submission
    action: Action
    operator_id: str
    origins: tuple[ArgumentOrigin, ...]
    facts: dict[str, FactValue]
    score: ScoreResult
    settled: Reason | None
    payee_tokens: tuple[str, ...] = ()

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
    submission: Submission,
    *,
    tenant_id: str,
    scorecard: Scorecard,
    now: datetime,
    fees: tuple[FeeRule, ...] = (),
) -> Case:
    """Resolve and read everything in the caller's transaction, without any approval. Raises: NotFound for a lost turn."""
    turn = find_turn(connection, conversation_id=submission.conversation_id, message_id=submission.message_id)
    if turn is None:
        raise NotFound("the proposal's conversation or message does not exist")
    proposal = submission.proposal
    subjects = (
        Subjects(granted=False, ids=ResolvedIds(customer_id=turn.customer_id))
        if proposal is None
        else read_subjects(connection, proposal.arguments, turn, now=now)
    )
    action = make_action(
        tenant_id=tenant_id,
        proposal_id=submission.proposal_id,
        kind=submission.kind,
        arguments=None if proposal is None else proposal.arguments,
        ids=subjects.ids,
    )
    facts = read_facts(
        connection,
        proposal_id=submission.proposal_id,
        kind=submission.kind.value,
        currency=action.currency,
        turn=turn,
        subjects=subjects,
        now=now,
    ).to_record()
    return Case(
        submission=submission,
        action=action,
        operator_id=turn.operator_id,
        origins=() if proposal is None else _read_origins(connection, proposal, turn, subjects, fees),
        facts=facts,
        score=score_action(facts, scorecard),
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


def _read_origins(
    connection: Connection[Any], proposal: Proposal, turn: Turn, subjects: Subjects, fees: tuple[FeeRule, ...]
) -> tuple[ArgumentOrigin, ...]:
    mentions = read_mentions(connection, turn)
    targets = {record.handle for record in subjects.known}
    named = read_named(connection, turn, sorted(find_named(mentions) - targets))
    return compute_origins(proposal.arguments, OriginContext(records=(*subjects.known, *named), mentions=mentions, fees=fees))
