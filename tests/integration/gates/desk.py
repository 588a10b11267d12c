"""A support desk for tests: a tenant whose rows are written by the roles that write them in life."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from psycopg import Connection
from psycopg.types.json import Jsonb

from domain.decision import Decision
from domain.ids import make_id
from gates.execution import execute_decision
from gates.policy.active import install_bundle
from gates.policy.bundle import load_bundle_directory
from gates.review import Answer, answer_review
from gates.review_store import Review, Verdict, find_review_of_decision
from gates.score.scorecard import load_scorecard
from gates.submission import GateScope, Rules, decide_proposal
from ledger.results import Execution
from storage.pools import Pool
from storage.roles import LoginRole
from storage.unit_of_work import unit_of_work
from tests.conftest import ConnAs, Tenant

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
STARTER = Path(__file__).resolve().parents[3] / "gates" / "bundles" / "starter"
CUSTOMER, ACCOUNT = "cus_000000000001", "acc_000000000001"
STRANGER, STRANGE_ACCOUNT = "cus_000000000002", "acc_000000000002"
MERCHANT = "mrc_000000000001"
ADA, BEN, CLEO, DAN = "opr_ada", "opr_ben", "opr_cleo", "opr_dan"
TRACE = {
    "prompt_id": "refund@1", "prompt_sha256": "1" * 64, "masked_prompt_sha256": "2" * 64, "model": "none",
    "generated_by": "template",
}  # fmt: skip


def token_of(operator_id: str, tenant_id: str) -> str:
    """Return the session token that the desk gave this operator."""
    return f"tgs.{tenant_id}.{operator_id:x<43}"


@dataclass(frozen=True, slots=True)
class Turn:
    """A conversation with one operator's message."""

    conversation_id: str
    message_id: str


@dataclass(slots=True)
class Desk:
    """Write records, turns and proposals; ask the gate."""

    tenant: Tenant
    conn_as: ConnAs
    gate_pool: Pool
    executor_pool: Pool
    now: datetime = NOW
    rules: Rules = field(default_factory=lambda: Rules(scorecard=load_scorecard()))
    _connections: dict[tuple[str, str], Connection[Any]] = field(default_factory=dict)

    def role(self, role: LoginRole) -> Connection[Any]:
        """Return this tenant's connection of a role; the same one each time."""
        key = (role, self.tenant.tenant_id)
        if key not in self._connections:
            self._connections[key] = self.conn_as(role, self.tenant)
        return self._connections[key]

    @property
    def scope(self) -> GateScope:
        return GateScope(pool=self.gate_pool, context=self.tenant.context("gate"), tenant_id=self.tenant.tenant_id)

    def open(self) -> Desk:
        """Write people, customers, accounts and the starter policy."""
        jobs = self.role("jobs")
        tenant_id = self.tenant.tenant_id
        jobs.execute("INSERT INTO core.tenants (tenant_id, name, created_at) VALUES (%s, 'T', %s)", [tenant_id, self.now])
        for operator_id, roles in ((ADA, ["support"]), (BEN, ["support", "approver"]), (CLEO, ["approver"]), (DAN, ["approver"])):
            self.add_operator(operator_id, roles)
        for customer_id, account_id in ((CUSTOMER, ACCOUNT), (STRANGER, STRANGE_ACCOUNT)):
            jobs.execute(
                "INSERT INTO core.customers (tenant_id, customer_id, name_token, country, language, segment, kyc_status,"
                " opened_at) VALUES (%s, %s, 'tok_x', 'DE', 'en', 'retail', 'verified', %s)",
                [tenant_id, customer_id, self.now - timedelta(days=900)],
            )
            jobs.execute(
                "INSERT INTO core.accounts (tenant_id, account_id, customer_id, number_token, product, currency, status,"
                " opened_at) VALUES (%s, %s, %s, 'tok_y', 'current', 'EUR', 'active', %s)",
                [tenant_id, account_id, customer_id, self.now - timedelta(days=900)],
            )
        jobs.execute(
            "INSERT INTO core.merchants (tenant_id, merchant_id, name, category_code, country)"
            " VALUES (%s, %s, 'Cafe', '5812', 'DE')",
            [tenant_id, MERCHANT],
        )
        with unit_of_work(self.gate_pool, self.tenant.context("gate")) as connection:
            install_bundle(connection, load_bundle_directory(STARTER), tenant_id=tenant_id, now=self.now, moved_by="test")
        return self

    def add_operator(self, operator_id: str, roles: Sequence[str], *, limit_minor: int = 20_000) -> None:
        """Write an operator with a refund limit in EUR, and a session."""
        jobs, edge = self.role("jobs"), self.role("edge")
        tenant_id = self.tenant.tenant_id
        jobs.execute(
            "INSERT INTO core.operators (tenant_id, operator_id, username, display_name, password_hash, roles)"
            " VALUES (%s, %s, %s, 'N', 'x', %s)",
            [tenant_id, operator_id, operator_id, list(roles)],
        )
        jobs.execute(
            "INSERT INTO core.operator_limits (tenant_id, operator_id, action_kind, currency, limit_minor)"
            " VALUES (%s, %s, 'refund', 'EUR', %s)",
            [tenant_id, operator_id, limit_minor],
        )
        edge.execute(
            "INSERT INTO core.sessions (tenant_id, session_id, operator_id, token_sha256, csrf_token, kind, created_at,"
            " expires_at) VALUES (%s, %s, %s, %s, 'c', 'console', %s, %s)",
            [
                tenant_id, make_id("ses", self.now), operator_id,
                hashlib.sha256(token_of(operator_id, tenant_id).encode()).digest(), self.now, self.now + timedelta(hours=30),
            ],
        )  # fmt: skip

    def add_charge(
        self,
        amount_minor: int = 1290,
        *,
        account_id: str = ACCOUNT,
        minutes: int = 0,
        kind: str = "card_payment",
        status: str = "posted",
        related: str | None = None,
    ) -> str:
        """Write a transaction of three days ago, `minutes` later."""
        transaction_id = f"txn_{uuid4().hex[:12]}"
        self.role("jobs").execute(
            "INSERT INTO core.transactions (tenant_id, transaction_id, account_id, merchant_id, kind, status, amount_minor,"
            " currency, descriptor, occurred_at, related_transaction_id)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, 'EUR', 'CAFE', %s, %s)",
            [
                self.tenant.tenant_id, transaction_id, account_id, MERCHANT, kind, status, amount_minor,
                self.now - timedelta(days=3) + timedelta(minutes=minutes), related,
            ],
        )  # fmt: skip
        return transaction_id

    def add_turn(self, transactions: Sequence[str], *, operator_id: str = ADA, outside: Sequence[str] = ()) -> Turn:
        """Open a conversation about the customer: T1… are granted, X1… are not. One operator's message."""
        edge = self.role("edge")
        tenant_id, conversation_id = self.tenant.tenant_id, make_id("cnv", self.now)
        edge.execute(
            "INSERT INTO core.conversations (tenant_id, conversation_id, customer_id, operator_id, created_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            [tenant_id, conversation_id, CUSTOMER, operator_id, self.now],
        )
        granted = [(f"T{number}", "transaction", ref, True) for number, ref in enumerate(transactions, 1)]
        refused = [(f"X{number}", "outside", ref, False) for number, ref in enumerate(outside, 1)]
        for handle, kind, ref, is_granted in granted + refused:
            edge.execute(
                "INSERT INTO core.grants (tenant_id, conversation_id, handle, kind, ref, origin, granted, created_at)"
                " VALUES (%s, %s, %s, %s, %s, 'ledger', %s, %s)",
                [tenant_id, conversation_id, handle, kind, ref, is_granted, self.now],
            )
        return Turn(conversation_id, self.add_message(conversation_id, operator_id=operator_id))

    def add_message(self, conversation_id: str, *, operator_id: str = ADA, at: datetime | None = None) -> str:
        """Write an operator's message."""
        at = at or self.now
        message_id = make_id("msg", at)
        self.role("edge").execute(
            "INSERT INTO core.messages (tenant_id, message_id, conversation_id, author, operator_id, masked_text, created_at)"
            " VALUES (%s, %s, %s, 'operator', %s, 'charged twice?', %s)",
            [self.tenant.tenant_id, message_id, conversation_id, operator_id, at],
        )
        return message_id

    def add_mention(self, turn: Turn, value: str, *, origin: str, kind: str = "amount", ordinal: int = 1) -> None:
        """Write what someone wrote in the turn's message."""
        self.role("edge").execute(
            "INSERT INTO core.mentions (tenant_id, message_id, ordinal, kind, value, origin) VALUES (%s, %s, %s, %s, %s, %s)",
            [self.tenant.tenant_id, turn.message_id, ordinal, kind, value, origin],
        )

    def propose(self, turn: Turn, *, kind: str = "refund", arguments: Any = None, trace: Any = None, **overrides: Any) -> str:
        """Put a proposal into the inbox as the agents process does."""
        proposal_id = make_id("prp", self.now)
        usual = {"transaction": "T1", "amount_minor": 1290, "currency": "EUR", "reason_code": "duplicate_charge"}
        self.role("ai").execute(
            "INSERT INTO ai.proposals (tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace, submitted_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                self.tenant.tenant_id, proposal_id, turn.conversation_id, turn.message_id, kind,
                Jsonb(usual | overrides if arguments is None else arguments), Jsonb(TRACE if trace is None else trace), self.now,
            ],
        )  # fmt: skip
        return proposal_id

    def decide(self, proposal_id: str, *, now: datetime | None = None) -> Decision:
        """Ask the gate."""
        return decide_proposal(self.scope, self.rules, proposal_id, now=now or self.now)

    def decide_refund(self, turn: Turn, **overrides: Any) -> Decision:
        """Propose and ask."""
        return self.decide(self.propose(turn, **overrides))

    def execute(self, decision: Decision, *, now: datetime | None = None) -> Execution:
        """Execute as the money process does."""
        return execute_decision(self.executor_pool, self.tenant.context("executor"), decision.decision_id, now or self.now)

    def review_of(self, decision: Decision) -> Review:
        """Return the review that a decision opened."""
        with unit_of_work(self.gate_pool, self.tenant.context("gate")) as connection:
            review = find_review_of_decision(connection, decision.decision_id)
        assert review is not None
        return review

    def answer(
        self,
        decision: Decision,
        operator_id: str,
        verdict: Verdict = "approve",
        *,
        digest: str | None = None,
        key: str | None = None,
        now: datetime | None = None,
    ) -> Decision:
        """Answer the review of a decision."""
        answer = Answer(
            review_id=self.review_of(decision).review_id,
            verdict=verdict,
            session_token=token_of(operator_id, self.tenant.tenant_id),
            action_digest=digest or decision.action_digest,
            reason="read it",
            idempotency_key=key or uuid4().hex,
        )
        return answer_review(self.scope, self.rules, answer, now=now or self.now)


def codes_of(decision: Decision) -> list[str]:
    """Return the reason codes in their order."""
    return [reason.code for reason in decision.reasons]
