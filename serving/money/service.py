"""The acts of the money process: decide, execute, answer a review, read. Synchronous; every act is safe to repeat."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event as Flag
from typing import Any

from psycopg import Connection
from psycopg import Error as DatabaseError
from psycopg_pool import PoolTimeout

from domain.clock import Clock
from domain.decision import Decision, Outcome
from domain.errors import NotFound, SetupError, Unavailable
from domain.ids import require_id
from gates.decision_store import StoredDecision, find_decision, find_execution_id, find_latest_decision, find_posting
from gates.execution import execute_decision
from gates.holding import recheck_holds
from gates.incidents import tell_of_artifact
from gates.policy.active import NoUsablePolicy
from gates.policy.artifacts import install_artifacts, require_artifacts
from gates.policy.bundle import PolicyBundle
from gates.reasons import EXECUTION_SENTENCES, SENTENCES
from gates.receipts.checkpoint import CheckpointSigner
from gates.receipts.export import export_receipt, render_receipt
from gates.registry import NoUsableScore
from gates.review import Answer, answer_review
from gates.review_store import ReviewState, find_review_of_decision, list_reviews
from gates.submission import GateScope, Rules, decide_proposal, expire_allow
from ledger.results import Execution, ExecutionCode
from ledger.transfer_digest import plan_of
from serving.money.log_keeper import LogFiles, LogKeeper
from serving.money.views import DecisionView, ExecutionView, PostingView, ReceiptState, ReviewView
from storage.events import find_placement
from storage.pools import Pool
from storage.registry import UnapprovedArtifact
from storage.roles import LoginRole
from storage.tenancy import require_tenant_id
from storage.unit_of_work import unit_of_work

_MAX_REVIEWS = 200
_TURN_S = 0.001
CONNECTIONS = 12
"""Of each role. Most of them wait for the disk at a moment: the more commit together, the fewer writes there are."""


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
    log_files: LogFiles | None = None


def take_short_turns() -> None:
    """Let a thread keep the interpreter for a millisecond: of Python's five, four in a row are all the time of a decision."""
    sys.setswitchinterval(_TURN_S)


class MoneyService:
    """Do what the process is asked. Sets `wake` when there are new events to sequence."""

    def __init__(self, deps: MoneyDeps) -> None:
        self.deps = deps
        self.wake = Flag()
        self._fit: set[str] = set()
        self.log = LogKeeper(deps.signer, deps.log_files, tenant_ids=deps.tenant_ids, open_scope=self.scope)

    def scope(self, tenant_id: str) -> GateScope:
        """Return the gate's scope for a tenant. Raises: InvalidTenantId."""
        tenant_id = require_tenant_id(tenant_id)
        return GateScope(pool=self.deps.gate_pool, context=self.deps.mint(tenant_id, "gate"), tenant_id=tenant_id)

    def install_starter_policy(self, tenant_id: str) -> None:
        """Put what came with the release in force where nothing is; refuse to go on with what nobody approved.

        Raises: UnapprovedArtifact, NoUsablePolicy.
        """
        scope, deps = self.scope(tenant_id), self.deps
        with unit_of_work(scope.pool, scope.context) as connection:
            install_artifacts(
                connection,
                bundle=deps.starter_bundle,
                scorecard=deps.rules.scorecard,
                tenant_id=tenant_id,
                now=deps.clock.now(),
                moved_by="set-up",
            )
        try:
            with unit_of_work(scope.pool, scope.context) as connection:
                require_artifacts(connection, shelf=deps.rules.shelf, models=deps.rules.models)
        except (UnapprovedArtifact, NoUsablePolicy, NoUsableScore) as error:
            tell_of_artifact(scope, error, now=deps.clock.now())
            raise
        self._fit.add(tenant_id)

    def decide(self, tenant_id: str, proposal_id: str) -> DecisionView:
        """Decide a proposal and carry out what it allows or holds. Idempotent by proposal."""
        scope = self.scope(tenant_id)
        self._require_fit(tenant_id)
        decision = decide_proposal(scope, self.deps.rules, proposal_id, now=self.deps.clock.now())
        return self._carry_out(scope, decision)

    def answer(self, tenant_id: str, answer: Answer) -> DecisionView:
        """Take a person's answer to a review, and execute what it allowed. Idempotent by person and key."""
        scope = self.scope(tenant_id)
        self._require_fit(tenant_id)
        try:
            decision = answer_review(scope, self.deps.rules, answer, now=self.deps.clock.now())
        finally:
            self.wake.set()
        return self._carry_out(scope, decision)

    def execute_or_expire(self, tenant_id: str, decision_id: str) -> None:
        """Finish an allow that a crash left: carry it out while it lives, close it when it does not."""
        scope = self.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            decision = self._require(find_decision(connection, decision_id), decision_id).decision
        self._carry_out(scope, decision)

    def recheck_holds(self, tenant_id: str, *, limit: int) -> int:
        """Look at what is held again, carry out what came of it, and return how many holds moved on."""
        scope = self.scope(tenant_id)
        self._require_fit(tenant_id)
        moved = recheck_holds(scope, self.deps.rules, now=self.deps.clock.now(), limit=limit)
        for decision in moved:
            self._carry_out(scope, decision)
        return len(moved)

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
        """Return the receipt file of a decision; None while a record waits for its place or its execution may still come."""
        require_id(decision_id, "dec")
        scope = self.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            stored = self._require(find_decision(connection, decision_id), decision_id)
            if _may_still_act(connection, stored.decision, self.deps.clock):
                return None
            receipt = export_receipt(connection, decision_id)
        return None if receipt is None else render_receipt(receipt)

    def refuse_unapproved(self) -> None:
        """Check every tenant before the first request; what the database cannot answer yet is asked before the first decision.

        Raises: UnapprovedArtifact, NoUsablePolicy, InvalidScorecard.
        """
        for tenant_id in self.deps.tenant_ids:
            try:
                self.install_starter_policy(tenant_id)
            except (NoUsablePolicy, NoUsableScore):
                raise
            except (Unavailable, DatabaseError, PoolTimeout):
                continue

    def _require_fit(self, tenant_id: str) -> None:
        if tenant_id in self._fit or tenant_id not in self.deps.tenant_ids:
            return
        try:
            self.install_starter_policy(tenant_id)
        except SetupError as error:
            raise NoUsablePolicy(error.message) from error

    def _carry_out(self, scope: GateScope, decision: Decision) -> DecisionView:
        execution: Execution | None = None
        now = self.deps.clock.now()
        if decision.outcome is Outcome.ALLOW or plan_of(decision) is not None:
            context = self.deps.mint(scope.tenant_id, "executor")
            execution = execute_decision(self.deps.executor_pool, context, decision.decision_id, now)
            if execution.posting is None and execution.code is not ExecutionCode.EXECUTED:
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


def _may_still_act(connection: Connection[Any], decision: Decision, clock: Clock) -> bool:
    lives = plan_of(decision) is not None and clock.now() < decision.expires_at
    return lives and find_execution_id(connection, decision.decision_id) is None


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
        receipt=_view_receipt(connection, stored),
        # A bundle may hold codes of its own; those stand without a sentence.
        reason_texts={reason.code: SENTENCES[reason.code] for reason in decision.reasons if reason.code in SENTENCES},
        execution=None
        if execution is None or execution.posting is not None
        else ExecutionView(code=execution.code.value, message=EXECUTION_SENTENCES[execution.code]),
    )


def _view_receipt(connection: Connection[Any], stored: StoredDecision) -> ReceiptState:
    # The event of a transfer, and of an act without one, has the id under which the decision was carried out.
    execution_id = find_execution_id(connection, stored.decision.decision_id)
    last_event_id = stored.event_id if execution_id is None else f"evt_{execution_id.hex}"
    placement = find_placement(connection, last_event_id)
    if placement is None:
        return ReceiptState(state="pending", position=None)
    return ReceiptState(state="ready", position=placement.position)
