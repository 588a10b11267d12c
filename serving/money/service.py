"""The acts of the money process: decide, execute, answer a review, read. Synchronous; every act is safe to repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event as Flag
from typing import Any

from psycopg import Connection

from domain.clock import Clock
from domain.decision import Decision, Outcome
from domain.errors import NotFound
from domain.ids import require_id
from gates.decision_store import PostingRead, StoredDecision, find_decision, find_latest_decision, find_posting
from gates.execution import execute_decision
from gates.policy.active import install_bundle
from gates.policy.bundle import PolicyBundle
from gates.reasons import EXECUTION_SENTENCES, SENTENCES
from gates.receipts.checkpoint import CheckpointSigner
from gates.receipts.export import export_receipt, render_receipt
from gates.review import Answer, answer_review
from gates.review_store import ReviewState, find_review_of_decision, list_reviews
from gates.submission import GateScope, Rules, decide_proposal, expire_allow
from ledger.results import Execution
from serving.money.views import DecisionView, ExecutionView, PostingView, ReceiptState, ReviewView
from storage.events import find_placement
from storage.pools import Pool
from storage.roles import LoginRole
from storage.tenancy import require_tenant_id
from storage.unit_of_work import unit_of_work

_MAX_REVIEWS = 200


@dataclass(frozen=True, slots=True)
class MoneyDeps:
    """Hold the parts, already built. `mint` signs a short-lived tenant context; `tenant_ids` are swept without being asked."""

    gate_pool: Pool
    executor_pool: Pool
    mint: Callable[[str, LoginRole], str]
    tenant_ids: tuple[str, ...]
    rules: Rules
    starter_bundle: PolicyBundle
    signer: CheckpointSigner
    clock: Clock
    process_token: str = field(repr=False)


class MoneyService:
    """Do what the process is asked. Sets `wake` when there are new events to sequence."""

    def __init__(self, deps: MoneyDeps) -> None:
        self.deps = deps
        self.wake = Flag()

    def scope(self, tenant_id: str) -> GateScope:
        """Return the gate's scope for a tenant. Raises: InvalidTenantId."""
        tenant_id = require_tenant_id(tenant_id)
        return GateScope(pool=self.deps.gate_pool, context=self.deps.mint(tenant_id, "gate"), tenant_id=tenant_id)

    def install_starter_policy(self, tenant_id: str) -> None:
        """Put the starter bundle in force where no bundle is."""
        scope = self.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            install_bundle(
                connection, self.deps.starter_bundle, tenant_id=tenant_id, now=self.deps.clock.now(), moved_by="set-up"
            )

    def decide(self, tenant_id: str, proposal_id: str) -> DecisionView:
        """Decide a proposal and execute it when it is allowed. Idempotent by proposal."""
        scope = self.scope(tenant_id)
        decision = decide_proposal(scope, self.deps.rules, proposal_id, now=self.deps.clock.now())
        return self._carry_out(scope, decision)

    def answer(self, tenant_id: str, answer: Answer) -> DecisionView:
        """Take a person's answer to a review, and execute what it allowed. Idempotent by person and key."""
        scope = self.scope(tenant_id)
        try:
            decision = answer_review(scope, self.deps.rules, answer, now=self.deps.clock.now())
        finally:
            self.wake.set()
        return self._carry_out(scope, decision)

    def execute_or_expire(self, tenant_id: str, decision_id: str) -> None:
        """Finish an allow that a crash left: execute it while it lives, close it when it does not."""
        scope = self.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            decision = self._require(find_decision(connection, decision_id), decision_id).decision
        self._carry_out(scope, decision)

    def view_decision(self, tenant_id: str, decision_id: str) -> DecisionView:
        """Return a decision. Raises: InvalidId, NotFound."""
        require_id(decision_id, "dec")
        scope = self.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            return _view(connection, self._require(find_decision(connection, decision_id), decision_id))

    def view_proposal(self, tenant_id: str, proposal_id: str) -> DecisionView:
        """Return the latest decision on a proposal. Raises: InvalidId, NotFound."""
        require_id(proposal_id, "prp")
        scope = self.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            return _view(connection, self._require(find_latest_decision(connection, proposal_id), proposal_id))

    def list_reviews(self, tenant_id: str, state: ReviewState) -> list[DecisionView]:
        """Return the decisions under review in a state, the oldest first."""
        scope = self.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            found = list_reviews(connection, state=state, limit=_MAX_REVIEWS)
            return [
                _view(connection, self._require(find_decision(connection, decision_id), decision_id)) for _, decision_id in found
            ]

    def render_receipt(self, tenant_id: str, decision_id: str) -> bytes | None:
        """Return the receipt file of a decision; None while a record waits for its place or a posting may still come."""
        require_id(decision_id, "dec")
        scope = self.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            stored = self._require(find_decision(connection, decision_id), decision_id)
            if _may_still_post(connection, stored.decision, self.deps.clock):
                return None
            receipt = export_receipt(connection, decision_id)
        return None if receipt is None else render_receipt(receipt)

    def _carry_out(self, scope: GateScope, decision: Decision) -> DecisionView:
        execution: Execution | None = None
        now = self.deps.clock.now()
        if decision.outcome is Outcome.ALLOW:
            context = self.deps.mint(scope.tenant_id, "executor")
            execution = execute_decision(self.deps.executor_pool, context, decision.decision_id, now)
            if execution.posting is None:
                decision = expire_allow(scope, self.deps.rules, decision.decision_id, now=now) or decision
        self.wake.set()
        with unit_of_work(scope.pool, scope.context) as connection:
            stored = self._require(find_decision(connection, decision.decision_id), decision.decision_id)
            return _view(connection, stored, execution)

    @staticmethod
    def _require(stored: StoredDecision | None, wanted: str) -> StoredDecision:
        if stored is None:
            raise NotFound(f"no decision for {wanted}")
        return stored


def _may_still_post(connection: Connection[Any], decision: Decision, clock: Clock) -> bool:
    lives = decision.outcome is Outcome.ALLOW and clock.now() < decision.expires_at
    return lives and find_posting(connection, decision.decision_id) is None


def _view(connection: Connection[Any], stored: StoredDecision, execution: Execution | None = None) -> DecisionView:
    decision = stored.decision
    posting = find_posting(connection, decision.decision_id) if decision.outcome is Outcome.ALLOW else None
    review = find_review_of_decision(connection, decision.decision_id) if decision.outcome is Outcome.REVIEW else None
    return DecisionView(
        decision=decision,
        posting=PostingView.model_validate(posting) if posting else None,
        review=None
        if review is None
        else ReviewView(
            review_id=review.review_id,
            state=review.state,
            expires_at=review.expires_at,
            required_approvals=review.required_approvals,
        ),
        receipt=_view_receipt(connection, stored, posting),
        # A bundle may hold codes of its own; those stand without a sentence.
        reason_texts={reason.code: SENTENCES[reason.code] for reason in decision.reasons if reason.code in SENTENCES},
        execution=None
        if execution is None or execution.posting is not None
        else ExecutionView(code=execution.code.value, message=EXECUTION_SENTENCES[execution.code]),
    )


def _view_receipt(connection: Connection[Any], stored: StoredDecision, posting: PostingRead | None) -> ReceiptState:
    # The posting's event has the id of its transfer.
    last_event_id = stored.event_id if posting is None else "evt_" + posting.transfer_id.removeprefix("tfr_")
    placement = find_placement(connection, last_event_id)
    if placement is None:
        return ReceiptState(state="pending", position=None)
    return ReceiptState(state="ready", position=placement.position)
