"""A support desk for tests: a tenant whose rows are written by the roles that write them in life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from psycopg.types.json import Jsonb

from domain.decision import Decision
from domain.ids import make_id
from gates.execution import execute_decision
from gates.policy.artifacts import install_artifacts
from gates.policy.bundle import PolicyBundle, load_bundle_content, load_bundle_directory
from gates.policy.lifecycle import Activation, approve_activation, request_activation
from gates.policy.registering import register_policy
from gates.review import Answer, answer_review
from gates.review_store import Review, Verdict, find_review_of_decision
from gates.score.scorecard import load_scorecard
from gates.submission import GateScope, Rules, decide_proposal
from ledger.results import Execution
from storage.pools import Pool
from storage.unit_of_work import unit_of_work
from tests.integration.gates.desk_records import (
    ACCOUNT,
    ADA,
    BEN,
    CLEO,
    CUSTOMER,
    DAN,
    EVE,
    GUS,
    IRA,
    KIM,
    LEE,
    MERCHANT,
    NOW,
    PEOPLE,
    STRANGE_ACCOUNT,
    STRANGER,
    Records,
    token_of,
)

__all__ = [
    "ACCOUNT", "ADA", "BEN", "CLEO", "CUSTOMER", "DAN", "EVE", "GUS", "IRA", "KIM", "LEE", "MERCHANT", "NOW", "PEOPLE",
    "STRANGER", "STRANGE_ACCOUNT", "Desk", "Turn", "codes_of", "token_of",
]  # fmt: skip

STARTER = Path(__file__).resolve().parents[3] / "gates" / "bundles" / "starter"
TRACE = {
    "prompt_id": "refund@1", "prompt_sha256": "1" * 64, "masked_prompt_sha256": "2" * 64, "model": "none",
    "generated_by": "template",
}  # fmt: skip


_KIND_OF_LETTER = {
    "T": "transaction", "A": "account", "B": "beneficiary", "C": "card", "D": "dispute", "H": "hold", "K": "case", "X": "outside",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turn:
    """A conversation with one operator's message."""

    conversation_id: str
    message_id: str


@dataclass(slots=True)
class Desk(Records):
    """Write turns and proposals; ask the gate, answer its reviews."""

    gate_pool: Pool
    executor_pool: Pool
    rules: Rules = field(default_factory=lambda: Rules(scorecard=load_scorecard()))

    @property
    def scope(self) -> GateScope:
        return GateScope(pool=self.gate_pool, context=self.tenant.context("gate"), tenant_id=self.tenant.tenant_id)

    def open(self) -> Desk:
        """Write people, customers, accounts and the starter policy."""
        jobs = self.role("jobs")
        tenant_id = self.tenant.tenant_id
        jobs.execute("INSERT INTO core.tenants (tenant_id, name, created_at) VALUES (%s, 'T', %s)", [tenant_id, self.now])
        for operator_id, roles in PEOPLE.items():
            self.add_operator(operator_id, roles)
        for customer_id, account_id in ((CUSTOMER, ACCOUNT), (STRANGER, STRANGE_ACCOUNT)):
            self.add_customer(customer_id, account_id)
        jobs.execute(
            "INSERT INTO core.merchants (tenant_id, merchant_id, name, category_code, country)"
            " VALUES (%s, %s, 'Cafe', '5812', 'DE')",
            [tenant_id, MERCHANT],
        )
        with unit_of_work(self.gate_pool, self.tenant.context("gate")) as connection:
            install_artifacts(
                connection,
                bundle=load_bundle_directory(STARTER),
                scorecard=self.rules.scorecard,
                tenant_id=tenant_id,
                now=self.now,
                moved_by="test",
            )
        return self

    def use_policy(self, **manifest: Any) -> PolicyBundle:
        """Put the starter bundle in force with other values in its manifest: one administrator asks, another approves."""
        content = load_bundle_directory(STARTER).content
        bundle = load_bundle_content({"manifest": {**content["manifest"], **manifest}, "files": dict(content["files"])})
        shelf, asks, approves = self.rules.shelf, *(token_of(one, self.tenant.tenant_id) for one in (KIM, LEE))
        register_policy(self.scope, bundle, asks, now=self.now)
        wanted = Activation(session_token=asks, sha256=bundle.sha256, target="champion", reason="the test asks for it")
        change = request_activation(self.scope, shelf, wanted, now=self.now)
        approve_activation(self.scope, shelf, change.change_id, approves, now=self.now)
        return bundle

    def add_turn(
        self,
        transactions: Sequence[str] = (),
        *,
        operator_id: str = ADA,
        outside: Sequence[str] = (),
        grants: Mapping[str, str] | None = None,
        customer_id: str = CUSTOMER,
    ) -> Turn:
        """Open a conversation about the customer: T1… are granted, X1… are not. One operator's message.

        `grants`: any other handle and its record, such as {"A1": ACCOUNT, "B1": beneficiary}; the letter is the kind.
        """
        edge = self.role("edge")
        tenant_id, conversation_id = self.tenant.tenant_id, make_id("cnv", self.now)
        edge.execute(
            "INSERT INTO core.conversations (tenant_id, conversation_id, customer_id, operator_id, created_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            [tenant_id, conversation_id, customer_id, operator_id, self.now],
        )
        handles = {f"T{number}": ref for number, ref in enumerate(transactions, 1)}
        handles |= {f"X{number}": ref for number, ref in enumerate(outside, 1)}
        turn = Turn(conversation_id, self.add_message(conversation_id, operator_id=operator_id))
        for handle, ref in (handles | dict(grants or {})).items():
            self.add_grant(turn, handle, ref)
        return turn

    def add_grant(self, turn: Turn, handle: str, ref: str, *, origin: str = "ledger") -> None:
        """Let a conversation name one more record; the handle's letter is the kind, X is a record outside."""
        kind = _KIND_OF_LETTER[handle[0]]
        self.role("edge").execute(
            "INSERT INTO core.grants (tenant_id, conversation_id, handle, kind, ref, origin, granted, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [self.tenant.tenant_id, turn.conversation_id, handle, kind, ref, origin, kind != "outside", self.now],
        )

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

    def say(self, turn: Turn, *mentions: tuple[str, str], origin: str = "staff") -> None:
        """Write several (kind, value) mentions of one author, in their order."""
        for ordinal, (kind, value) in enumerate(mentions, 1):
            self.add_mention(turn, value, kind=kind, origin=origin, ordinal=ordinal)

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

    def decide_act(self, turn: Turn, kind: str, *, reason_code: str = "other", **arguments: Any) -> Decision:
        """Propose an act of any kind with exactly these arguments, and ask."""
        return self.decide(self.propose(turn, kind=kind, arguments={**arguments, "reason_code": reason_code}))

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
