"""A tenant with one customer, charges and decisions: records as the bank's, decisions written as role gate."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from domain.canonical import digest_of
from domain.clock import render_time
from domain.event import Event
from domain.ids import make_id
from domain.proposal import Action, ActionKind
from ledger.posting import post_decision
from ledger.results import Execution
from ledger.transfer_digest import derive_transfer_id, digest_refund
from storage.events import append_event
from tests.conftest import ConnAs, Tenant

NOW = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
CUSTOMER = "cus_000000000001"
ACCOUNT = "acc_000000000001"


@dataclass(frozen=True, slots=True)
class Written:
    """Hold a decision that stands in the database."""

    decision_id: str
    proposal_id: str
    action: Action
    event: Event


@dataclass(slots=True)
class Scene:
    """Write a tenant's records and decisions, and execute them."""

    tenant: Tenant
    conn_as: ConnAs
    admin: Connection[Any]
    gate: Connection[Any] = field(init=False)
    executor: Connection[Any] = field(init=False)
    edge: Connection[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.gate = self.conn_as("gate", self.tenant)
        self.executor = self.conn_as("executor", self.tenant)
        self.edge = self.conn_as("edge", self.tenant)
        self.add_account(CUSTOMER, ACCOUNT)

    def close(self) -> None:
        """Give the connections back, where one test makes many scenes."""
        for connection in (self.gate, self.executor, self.edge):
            connection.close()

    def add_account(self, customer_id: str, account_id: str, currency: str = "EUR") -> None:
        """Write a customer with an account, as ingest does."""
        self.admin.execute(
            "INSERT INTO core.customers (tenant_id, customer_id, name_token, country, language, segment, kyc_status, opened_at)"
            " VALUES (%s, %s, 'tok_x', 'DE', 'en', 'retail', 'verified', %s) ON CONFLICT DO NOTHING",
            [self.tenant.tenant_id, customer_id, NOW],
        )
        self.admin.execute(
            "INSERT INTO core.accounts (tenant_id, account_id, customer_id, number_token, product, currency, status, opened_at)"
            " VALUES (%s, %s, %s, 'tok_y', 'current', %s, 'active', %s)",
            [self.tenant.tenant_id, account_id, customer_id, currency, NOW],
        )

    def add_charge(
        self,
        amount_minor: int = 4990,
        *,
        account_id: str = ACCOUNT,
        currency: str = "EUR",
        kind: str = "card_payment",
        status: str = "posted",
    ) -> str:
        """Write a transaction of the bank's record and return its id."""
        transaction_id = f"txn_{uuid4().hex[:12]}"
        self.admin.execute(
            "INSERT INTO core.transactions (tenant_id, transaction_id, account_id, kind, status, amount_minor, currency,"
            " descriptor, occurred_at) VALUES (%s, %s, %s, %s, %s, %s, %s, 'SHOP', %s)",
            [self.tenant.tenant_id, transaction_id, account_id, kind, status, amount_minor, currency, NOW],
        )
        return transaction_id

    def decide(self, transaction_id: str | None, amount_minor: int = 4990, **overrides: Any) -> Written:
        """Write a proposal event, a decision event and the decision row in one transaction, as role gate.

        `overrides` replace columns of the row; `currency`, `account_id`, `customer_id` and `kind` the action's fields;
        `previous` the decision before it; `decided_at` the time.
        """
        previous: Written | None = overrides.pop("previous", None)
        decided_at: datetime = overrides.pop("decided_at", NOW)
        decision_id = make_id("dec", decided_at)
        proposal_id = previous.proposal_id if previous else make_id("prp", decided_at)
        action = Action(
            tenant_id=self.tenant.tenant_id,
            proposal_id=proposal_id,
            kind=overrides.pop("kind", ActionKind.REFUND),
            transaction_id=transaction_id,
            customer_id=overrides.pop("customer_id", CUSTOMER),
            account_id=overrides.pop("account_id", ACCOUNT),
            amount_minor=amount_minor,
            currency=overrides.pop("currency", "EUR"),
            reason_code="duplicate_charge",
        )
        approval: Event | None = overrides.pop("approval", None)
        row = self.decision_row(decision_id, action, decided_at, previous)
        row |= {"approval_id": approval.data["approval_id"]} if approval else {}
        row |= overrides
        with self.gate.transaction():
            proposal = self._find_proposal(proposal_id) if previous else self._append_proposal(proposal_id, decided_at)
            event = self._decided_event(row, action, proposal, approval, decided_at)
            append_event(self.gate, event)
            self.insert_decision(self.gate, row | {"event_id": event.event_id})
        return Written(decision_id, proposal_id, action, event)

    def decision_row(
        self, decision_id: str, action: Action, decided_at: datetime, previous: Written | None = None
    ) -> dict[str, Any]:
        """Return the columns of an `allow` that lives 60 s."""
        return {
            "tenant_id": action.tenant_id,
            "decision_id": decision_id,
            "proposal_id": action.proposal_id,
            "previous_decision_id": previous.decision_id if previous else None,
            "approval_id": None,
            "outcome": "allow",
            "action": Jsonb(action.model_dump(mode="json")),
            "action_digest": action.digest(),
            "action_kind": action.kind.value,
            "transaction_id": action.transaction_id,
            "customer_id": action.customer_id,
            "account_id": action.account_id,
            "amount_minor": action.amount_minor,
            "currency": action.currency,
            "transfer_digest": digest_refund(action, decision_id),
            "transfer_id": derive_transfer_id(decision_id),
            **{name: Jsonb([]) for name in ("reasons", "origins", "score_reasons")},
            "facts": Jsonb({}),
            "facts_digest": digest_of({}),
            "score": 10,
            "score_ref": "scorecard@1",
            "policy_bundle_sha256": "0" * 64,
            "policy_version": "starter@1",
            "engine_version": "test",
            "prompt_id": "support/intent",
            "prompt_sha256": "1" * 64,
            "model": "none",
            "operator_id": "opr_ada",
            "decided_at": decided_at,
            "expires_at": decided_at + timedelta(seconds=60),
        }

    @staticmethod
    def insert_decision(connection: Connection[Any], row: dict[str, Any]) -> None:
        """Insert a decision row."""
        names = sql.SQL(", ").join(map(sql.Identifier, row))
        values = sql.SQL(", ").join(map(sql.Placeholder, row))
        connection.execute(sql.SQL("INSERT INTO gate.decisions ({}) VALUES ({})").format(names, values), row)

    def approve(self, decision: Written, operator_id: str = "opr_cleo") -> Event:
        """Write a review of the decision, an approval of exactly its action, and the event."""
        ids = {"review_id": make_id("rev", NOW), "approval_id": make_id("apr", NOW), "operator_id": operator_id}
        event = self.make_event(
            "review.approved",
            ids["review_id"],
            {
                **ids,
                "decision_id": decision.decision_id,
                "proposal_id": decision.proposal_id,
                "action_digest": decision.action.digest(),
                "verdict": "approve",
            },
            NOW,
        )
        parameters = {**event.data, "tenant_id": self.tenant.tenant_id, "now": NOW, "until": NOW + timedelta(hours=4)}
        with self.gate.transaction():
            self.gate.execute(
                "INSERT INTO gate.reviews (tenant_id, review_id, proposal_id, decision_id, action_digest, state_digest,"
                " operator_id, opened_at, expires_at) VALUES (%(tenant_id)s, %(review_id)s, %(proposal_id)s, %(decision_id)s,"
                " %(action_digest)s, %(action_digest)s, %(asked_by)s, %(now)s, %(until)s)",
                {**parameters, "asked_by": decision.event.data["operator_id"]},
            )
            self.gate.execute(
                "INSERT INTO gate.approvals (tenant_id, approval_id, review_id, operator_id, verdict, action_digest, reason,"
                " idempotency_key, created_at) VALUES (%(tenant_id)s, %(approval_id)s, %(review_id)s, %(operator_id)s, 'approve',"
                " %(action_digest)s, 'seen', %(approval_id)s, %(now)s)",
                parameters,
            )
            append_event(self.gate, event)
        return event

    def execute(self, decision_id: str, *, now: datetime = NOW, transfer_id: UUID | None = None) -> Execution:
        """Execute as role executor, in one transaction."""
        with self.executor.transaction():
            return post_decision(self.executor, decision_id, transfer_id=transfer_id or derive_transfer_id(decision_id), now=now)

    def make_event(self, event_type: str, subject: str, data: dict[str, Any], at: datetime, **attributes: Any) -> Event:
        """Make an event of the gate."""
        return Event(
            event_id=make_id("evt", at),
            event_type=event_type,
            source="gate",
            subject=subject,
            tenant_id=self.tenant.tenant_id,
            occurred_at=at,
            recorded_at=at,
            data=data,
            **attributes,
        )

    def _append_proposal(self, proposal_id: str, at: datetime) -> Event:
        message = self.make_event(
            "message.received", make_id("msg", at), {"conversation_id": make_id("cnv", at), "operator_id": "opr_ada"}, at
        )
        message.data["message_id"] = message.subject
        data = {
            "proposal_id": proposal_id,
            "proposal_digest": digest_of({"proposal_id": proposal_id}),
            "message_id": message.subject,
            "conversation_id": message.data["conversation_id"],
            "message_event_id": message.event_id,
            "kind": "refund",
        }
        proposal = self.make_event("proposal.submitted", proposal_id, data, at)
        append_event(self.edge, message)
        append_event(self.gate, proposal)
        return proposal

    def _find_proposal(self, proposal_id: str) -> Event:
        row = self.gate.execute(
            "SELECT event_id, data FROM core.events WHERE subject = %s AND event_type = 'proposal.submitted'", [proposal_id]
        ).fetchone()
        assert row is not None
        proposal = self.make_event("proposal.submitted", proposal_id, row[1], NOW)
        return proposal.model_copy(update={"event_id": f"evt_{row[0].hex}"})

    def _decided_event(self, row: dict[str, Any], action: Action, proposal: Event, approval: Event | None, at: datetime) -> Event:
        data = {
            **{name: row[name] for name in ("decision_id", "proposal_id", "outcome", "action_digest", "operator_id")},
            "proposal_digest": proposal.data["proposal_digest"],
            "proposal_event_id": proposal.event_id,
            "previous_decision_id": row["previous_decision_id"],
            "approval_id": approval.data["approval_id"] if approval else None,
            "action": action.model_dump(mode="json"),
            "decided_at": render_time(row["decided_at"]),
            "expires_at": render_time(row["expires_at"]),
        }
        return self.make_event(
            "gate.decided",
            row["decision_id"],
            data,
            at,
            account_id=action.account_id,
            amount_minor=action.amount_minor,
            currency=action.currency,
        )
