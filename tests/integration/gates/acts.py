"""Decisions of any kind, written as role gate without asking a policy, and carried out as role executor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.canonical import digest_of
from domain.decision import Decision, Outcome, ScoreResult
from domain.ids import make_id
from domain.proposal import NO_CURRENCY, Action, ActionKind
from gates.decision_store import EventLinks, store_decision
from gates.execution import execute_decision
from ledger.results import Execution
from storage.unit_of_work import unit_of_work
from tests.integration.gates.desk import ACCOUNT, CUSTOMER, EVE, MERCHANT, Desk

AMOUNT = 1_000


@dataclass(slots=True)
class Acts:
    """Write decisions at a desk, on records made for each."""

    desk: Desk

    def make_action(self, kind: ActionKind, **overrides: Any) -> Action:
        """Return a whole action of a kind on fresh records: 10.00 EUR where it has an amount."""
        moves = kind not in {
            ActionKind.CARD_BLOCK, ActionKind.BENEFICIARY_CHANGE, ActionKind.CASE_CLOSE, ActionKind.KYC_DECISION
        }  # fmt: skip
        fields: dict[str, Any] = {
            "tenant_id": self.desk.tenant.tenant_id,
            "proposal_id": make_id("prp", self.desk.now),
            "kind": kind,
            "transaction_id": None,
            "customer_id": CUSTOMER,
            "account_id": ACCOUNT if moves else None,
            "amount_minor": AMOUNT if moves else 0,
            "currency": "EUR" if moves else NO_CURRENCY,
            "reason_code": "other",
        }
        subjects = {} if "subject_id" in overrides else self._subjects_of(kind)
        return Action.model_validate({**fields, **subjects, **overrides})

    def decide(
        self,
        action: Action,
        outcome: Outcome = Outcome.ALLOW,
        *,
        previous: Decision | None = None,
        hold: str | None = None,
        at: datetime | None = None,
        operator_id: str = EVE,
    ) -> Decision:
        """Store a decision; `hold` is the pending transfer that it goes on with."""
        decision = self.make_decision(action, outcome, previous=previous, hold=hold, at=at, operator_id=operator_id)
        with unit_of_work(self.desk.gate_pool, self.desk.tenant.context("gate")) as connection:
            store_decision(connection, decision, EventLinks(proposal_digest="0" * 64, proposal_event_id="evt_" + "0" * 32))
        return decision

    def make_decision(
        self,
        action: Action,
        outcome: Outcome,
        *,
        previous: Decision | None = None,
        hold: str | None = None,
        at: datetime | None = None,
        operator_id: str = EVE,
    ) -> Decision:
        """Return a decision that is stored nowhere yet."""
        at = at or self.desk.now
        return Decision(
            decision_id=make_id("dec", at),
            tenant_id=action.tenant_id,
            proposal_id=action.proposal_id,
            outcome=outcome,
            reasons=(),
            action=action,
            action_digest=action.digest(),
            origins=(),
            facts={},
            facts_digest=digest_of({}),
            score=ScoreResult(score=1, reason_codes=(), model_ref="test@1"),
            policy_bundle_sha256="0" * 64,
            policy_version="test@1",
            engine_version="test",
            prompt_id="test@1",
            prompt_sha256="1" * 64,
            model="none",
            operator_id=operator_id,
            previous_decision_id=None if previous is None else previous.decision_id,
            hold_transfer_id=hold,
            hold_expires_at=at + timedelta(days=1) if outcome is Outcome.HOLD else None,
            decided_at=at,
            expires_at=at + timedelta(seconds=60),
        )

    def execute(self, decision: Decision, *, at: datetime | None = None) -> Execution:
        """Carry a decision out."""
        context = self.desk.tenant.context("executor")
        return execute_decision(self.desk.executor_pool, context, decision.decision_id, at or self.desk.now)

    def place_hold(self, amount_minor: int = AMOUNT, *, kind: ActionKind = ActionKind.PAYMENT) -> tuple[Decision, str]:
        """Hold an amount; return the decision and the pending transfer's id."""
        decision = self.decide(self.make_action(kind, amount_minor=amount_minor), Outcome.HOLD)
        assert self.execute(decision).code.value == "held"
        return decision, self.transfer_of(decision)

    def transfer_of(self, decision: Decision) -> str:
        """Return the id of the one transfer that a decision can have."""
        row = (
            self.desk.role("gate")
            .execute("SELECT transfer_id FROM gate.decisions WHERE decision_id = %s", [decision.decision_id])
            .fetchone()
        )
        assert row is not None
        return f"tfr_{row[0].hex}"

    def count(self, table: str) -> int:
        """Return how many rows of this tenant a table has."""
        row = self.desk.role("auditor").execute(f"SELECT COUNT(*) FROM {table}").fetchone()
        assert row is not None
        return int(row[0])

    def _subjects_of(self, kind: ActionKind) -> dict[str, str]:
        if kind is ActionKind.REFUND:
            return {"transaction_id": self.desk.add_charge(AMOUNT), "merchant_id": MERCHANT}
        if kind is ActionKind.FEE_REVERSAL:
            return {"transaction_id": self.desk.add_charge(AMOUNT, kind="fee")}
        if kind in {ActionKind.PROVISIONAL_CREDIT, ActionKind.DISPUTE_WRITEOFF}:
            return {"subject_id": self.desk.add_dispute(self.desk.add_charge(AMOUNT))}
        if kind is ActionKind.PAYMENT:
            return {"beneficiary_id": self.desk.add_beneficiary()}
        if kind is ActionKind.HOLD_RELEASE:
            return {"subject_id": self.place_hold()[1]}
        if kind is ActionKind.CARD_BLOCK:
            return {"subject_id": self.desk.add_card()}
        if kind is ActionKind.BENEFICIARY_CHANGE:
            return {"beneficiary_id": self.desk.add_beneficiary(), "details": "<IBAN_DE_0a1b2c3d-4e>"}
        if kind is ActionKind.CASE_CLOSE:
            return {"subject_id": self.desk.add_case(subject=make_id("evt", self.desk.now))}
        return {"verdict": "clear"} if kind is ActionKind.KYC_DECISION else {}
