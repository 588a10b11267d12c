"""A bank's people and records for tests, written by the roles that write them in life."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from psycopg import Connection
from psycopg.types.json import Jsonb

from domain.ids import make_id
from storage.roles import LoginRole
from tests.conftest import ConnAs, Tenant

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CUSTOMER, ACCOUNT = "cus_000000000001", "acc_000000000001"
STRANGER, STRANGE_ACCOUNT = "cus_000000000002", "acc_000000000002"
MERCHANT = "mrc_000000000001"
ADA, BEN, CLEO, DAN = "opr_ada", "opr_ben", "opr_cleo", "opr_dan"
EVE, GUS, IRA, KIM, LEE = "opr_eve", "opr_gus", "opr_ira", "opr_kim", "opr_lee"
PEOPLE = {
    ADA: ["support"], BEN: ["support", "approver"], CLEO: ["approver"], DAN: ["approver"], EVE: ["investigator"],
    GUS: ["onboarding"], IRA: ["auditor"], KIM: ["admin"], LEE: ["admin"],
}  # fmt: skip
LIMITED_KINDS = ("refund", "fee_reversal", "goodwill_credit", "provisional_credit", "payment", "dispute_writeoff")


def token_of(operator_id: str, tenant_id: str) -> str:
    """Return the session token that the desk gave this operator."""
    return f"tgs.{tenant_id}.{operator_id:x<43}"


@dataclass(slots=True)
class Records:
    """Write people and records of one tenant."""

    tenant: Tenant
    conn_as: ConnAs
    now: datetime = field(default=NOW, kw_only=True)
    _connections: dict[tuple[str, str], Connection[Any]] = field(default_factory=dict, kw_only=True)

    def role(self, role: LoginRole) -> Connection[Any]:
        """Return this tenant's connection of a role; the same one each time."""
        key = (role, self.tenant.tenant_id)
        if key not in self._connections:
            self._connections[key] = self.conn_as(role, self.tenant)
        return self._connections[key]

    def add_operator(self, operator_id: str, roles: Sequence[str], *, limit_minor: int = 20_000) -> None:
        """Write an operator with limits in EUR for every kind that moves money, and a session."""
        jobs, edge = self.role("jobs"), self.role("edge")
        tenant_id = self.tenant.tenant_id
        jobs.execute(
            "INSERT INTO core.operators (tenant_id, operator_id, username, display_name, password_hash, roles)"
            " VALUES (%s, %s, %s, 'N', 'x', %s)",
            [tenant_id, operator_id, operator_id, list(roles)],
        )
        for kind in LIMITED_KINDS:
            jobs.execute(
                "INSERT INTO core.operator_limits (tenant_id, operator_id, action_kind, currency, limit_minor)"
                " VALUES (%s, %s, %s, 'EUR', %s)",
                [tenant_id, operator_id, kind, limit_minor],
            )
        edge.execute(
            "INSERT INTO core.sessions (tenant_id, session_id, operator_id, token_sha256, csrf_token, kind, created_at,"
            " expires_at) VALUES (%s, %s, %s, %s, 'c', 'console', %s, %s)",
            [
                tenant_id, make_id("ses", self.now), operator_id,
                hashlib.sha256(token_of(operator_id, tenant_id).encode()).digest(), self.now, self.now + timedelta(hours=30),
            ],
        )  # fmt: skip

    def add_customer(self, customer_id: str, account_id: str) -> None:
        """Write a verified customer of 900 days with one account in EUR."""
        jobs, tenant_id, opened_at = self.role("jobs"), self.tenant.tenant_id, self.now - timedelta(days=900)
        jobs.execute(
            "INSERT INTO core.customers (tenant_id, customer_id, name_token, country, language, segment, kyc_status,"
            " opened_at) VALUES (%s, %s, 'tok_x', 'DE', 'en', 'retail', 'verified', %s)",
            [tenant_id, customer_id, opened_at],
        )
        jobs.execute(
            "INSERT INTO core.accounts (tenant_id, account_id, customer_id, number_token, product, currency, status,"
            " opened_at) VALUES (%s, %s, %s, 'tok_y', 'current', 'EUR', 'active', %s)",
            [tenant_id, account_id, customer_id, opened_at],
        )

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

    def add_beneficiary(
        self,
        *,
        customer_id: str = CUSTOMER,
        currency: str = "EUR",
        screening_state: str = "clear",
        days: int = 400,
        verified: bool = True,
        beneficiary_id: str | None = None,
    ) -> str:
        """Write a payee that was added `days` ago, and verified then."""
        beneficiary_id = beneficiary_id or f"ben_{uuid4().hex[:12]}"
        added_at = self.now - timedelta(days=days)
        self.role("jobs").execute(
            "INSERT INTO core.beneficiaries (tenant_id, beneficiary_id, customer_id, name_token, account_number_token, currency,"
            " screening_state, added_at, verified_at) VALUES (%s, %s, %s, 'tok_n', 'tok_i', %s, %s, %s, %s)",
            [
                self.tenant.tenant_id, beneficiary_id, customer_id, currency, screening_state, added_at,
                added_at if verified else None,
            ],
        )  # fmt: skip
        return beneficiary_id

    def add_card(self, *, account_id: str = ACCOUNT, status: str = "active") -> str:
        """Write a card of an account."""
        card_id = f"crd_{uuid4().hex[:12]}"
        self.role("jobs").execute(
            "INSERT INTO core.cards (tenant_id, card_id, account_id, pan_token, last4, scheme, status, expires_on)"
            " VALUES (%s, %s, %s, 'tok_p', '4242', 'visa', %s, '2029-04-30')",
            [self.tenant.tenant_id, card_id, account_id, status],
        )
        return card_id

    def add_dispute(self, transaction_id: str, *, state: str = "open", days: int = 5) -> str:
        """Write a dispute of a transaction that was opened `days` ago."""
        dispute_id = f"dsp_{uuid4().hex[:12]}"
        self.role("jobs").execute(
            "INSERT INTO core.disputes (tenant_id, dispute_id, transaction_id, state, network_reason_code, opened_at, due_on)"
            " VALUES (%s, %s, %s, %s, '10.4', %s, %s)",
            [
                self.tenant.tenant_id, dispute_id, transaction_id, state, self.now - timedelta(days=days),
                (self.now + timedelta(days=30)).date(),
            ],
        )  # fmt: skip
        return dispute_id

    def add_device(self, *, customer_id: str = CUSTOMER, hours: int = 2, trusted: bool = False) -> str:
        """Write a device that was first seen `hours` ago."""
        device_id = f"dev_{uuid4().hex[:12]}"
        self.role("jobs").execute(
            "INSERT INTO core.devices (tenant_id, device_id, customer_id, platform, first_seen_at, trusted)"
            " VALUES (%s, %s, %s, 'android', %s, %s)",
            [self.tenant.tenant_id, device_id, customer_id, self.now - timedelta(hours=hours), trusted],
        )
        return device_id

    def add_login(self, outcome: str = "failed", *, customer_id: str = CUSTOMER, country: str = "DE", hours: int = 2) -> str:
        """Write a login of `hours` ago."""
        login_id = f"lgn_{uuid4().hex[:12]}"
        self.role("jobs").execute(
            "INSERT INTO core.logins (tenant_id, login_id, customer_id, country, outcome, occurred_at)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [self.tenant.tenant_id, login_id, customer_id, country, outcome, self.now - timedelta(hours=hours)],
        )
        return login_id

    def add_case(self, *, kind: str = "reconciliation_break", subject: str = "line-1") -> str:
        """Open a case, as a job does."""
        case_id = make_id("cas", self.now)
        self.role("jobs").execute(
            "INSERT INTO core.cases (tenant_id, case_id, kind, subject, opened_for, facts, opened_at, due_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [self.tenant.tenant_id, case_id, kind, subject, case_id, Jsonb({}), self.now, self.now + timedelta(days=2)],
        )
        return case_id
