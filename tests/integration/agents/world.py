"""A small bank of one customer on the real database: what ingest and the edge would have written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from psycopg.types.json import Jsonb

from agents.support.turn_types import TurnInput
from tests.conftest import ConnAs, Tenant

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
CUSTOMER = "cus_aaaaaaaaaaaa"
OTHER_CUSTOMER = "cus_bbbbbbbbbbbb"
TRACE = [
    {"step": "card_status", "result": "pass"},
    {"step": "balance_check", "result": "fail", "detail": {"available_minor": 1234, "needed_minor": 8000}},
    {"step": "issuer_response", "result": "fail", "detail": {"response_code": "51"}},
]


@dataclass(frozen=True, slots=True)
class World:
    """Hold one conversation about the customer."""

    tenant: Tenant
    conversation_id: str
    conn_as: ConnAs

    def ask(self, text: str, **more: Any) -> TurnInput:
        """Store an operator's message as the edge does and return its turn."""
        message_id = f"msg_{uuid4().hex}"
        self.conn_as("edge", self.tenant).execute(
            "INSERT INTO core.messages (tenant_id, message_id, conversation_id, author, operator_id, masked_text, created_at)"
            " VALUES (%s, %s, %s, 'operator', 'ada', %s, %s)",
            [self.tenant.tenant_id, message_id, self.conversation_id, text, NOW],
        )
        return TurnInput(
            tenant_id=self.tenant.tenant_id,
            conversation_id=self.conversation_id,
            message_id=message_id,
            masked_text=text,
            started_at=NOW,
            **more,
        )

    def proposals(self) -> list[dict[str, Any]]:
        """Return the inbox."""
        rows = (
            self.conn_as("gate", self.tenant).execute("SELECT proposal_id, kind, arguments, trace FROM ai.proposals").fetchall()
        )
        return [dict(zip(("proposal_id", "kind", "arguments", "trace"), row, strict=True)) for row in rows]


def _transactions() -> list[tuple[Any, ...]]:
    day = timedelta(days=1)
    books, cafe = "mrc_books", "mrc_cafe"
    return [
        # id, kind, status, amount, merchant, descriptor, occurred, decline code, trace, related, settles on
        ("txn_000000000001", "card_payment", "posted", 1290, books, "NORDWIND BOOKS 0815", NOW - 2 * day, None, None, None, None),
        (
            "txn_000000000002",
            "card_payment",
            "posted",
            1290,
            books,
            "NORDWIND BOOKS 0815",
            NOW - 2 * day - timedelta(hours=3),
            None,
            None,
            None,
            None,
        ),
        (
            "txn_000000000003",
            "card_payment",
            "declined",
            8000,
            cafe,
            "CAFE AZUR",
            NOW - 3 * day,
            "insufficient_funds",
            TRACE,
            None,
            None,
        ),
        ("txn_000000000004", "fee", "posted", 300, None, "CARD REPLACEMENT", NOW - 4 * day, None, None, None, None),
        (
            "txn_000000000005",
            "payout",
            "pending",
            250000,
            None,
            "MARKET PAYOUT",
            NOW - day / 2,
            None,
            None,
            None,
            date(2026, 3, 12),
        ),
        ("txn_000000000006", "card_payment", "posted", 64000, cafe, "CAFE AZUR", NOW - 20 * day, None, None, None, None),
    ]


def make_world(conn_as: ConnAs, tenant: Tenant, *, transactions: Sequence[tuple[Any, ...]] | None = None) -> World:
    """Write the records, open a conversation and grant its handles: T1 newest, X1 a transaction of somebody else."""
    tenant_id, jobs, edge = tenant.tenant_id, conn_as("jobs", tenant), conn_as("edge", tenant)
    rows = list(_transactions() if transactions is None else transactions)
    jobs.execute("INSERT INTO core.tenants VALUES (%s, 'Test bank', %s)", [tenant_id, NOW])
    jobs.execute("INSERT INTO core.operators VALUES (%s, 'ada', 'ada', 'Ada', 'x', ARRAY['support'], TRUE)", [tenant_id])
    for customer in (CUSTOMER, OTHER_CUSTOMER):
        jobs.execute(
            "INSERT INTO core.customers (tenant_id, customer_id, name_token, country, language, segment, kyc_status, opened_at)"
            " VALUES (%s, %s, '<PERSON_x>', 'DE', 'en', 'personal', 'verified', %s)",
            [tenant_id, customer, NOW],
        )
        jobs.execute(
            "INSERT INTO core.accounts VALUES (%s, %s, %s, '<IBAN_x>', 'current', 'EUR', 'active', %s)",
            [tenant_id, f"acc_{customer[-12:]}", customer, NOW],
        )
    for merchant, name in (("mrc_books", "Nordwind Books"), ("mrc_cafe", "Cafe Azur")):
        jobs.execute("INSERT INTO core.merchants VALUES (%s, %s, %s, '5942', 'DE')", [tenant_id, merchant, name])
    for row in rows:
        _insert_transaction(jobs, tenant_id, "acc_aaaaaaaaaaaa", row)
    _insert_transaction(jobs, tenant_id, "acc_bbbbbbbbbbbb", ("txn_00000000000b", *_transactions()[0][1:]))
    conversation_id = f"cnv_{uuid4().hex}"
    edge.execute("INSERT INTO core.conversations VALUES (%s, %s, %s, 'ada', %s)", [tenant_id, conversation_id, CUSTOMER, NOW])
    newest = sorted(rows, key=lambda row: row[6], reverse=True)
    grants = [(f"T{number}", "transaction", row[0], "ledger", True) for number, row in enumerate(newest, start=1)]
    grants += [("A1", "account", "acc_aaaaaaaaaaaa", "ledger", True), ("X1", "outside", "txn_00000000000b", "staff", False)]
    for handle, kind, ref, origin, granted in grants:
        edge.execute(
            "INSERT INTO core.grants VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [tenant_id, conversation_id, handle, kind, ref, origin, granted, NOW],
        )
    return World(tenant=tenant, conversation_id=conversation_id, conn_as=conn_as)


def _insert_transaction(jobs: Any, tenant_id: str, account_id: str, row: tuple[Any, ...]) -> None:
    transaction_id, kind, status, amount, merchant, descriptor, occurred, code, trace, related, settles_on = row
    jobs.execute(
        "INSERT INTO core.transactions (tenant_id, transaction_id, account_id, merchant_id, kind, status, amount_minor, currency,"
        " descriptor, occurred_at, decline_code, decline_trace, related_transaction_id, settles_on)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, 'EUR', %s, %s, %s, %s, %s, %s)",
        [tenant_id, transaction_id, account_id, merchant, kind, status, amount, descriptor, occurred, code,
         Jsonb(trace) if trace else None, related, settles_on],
    )  # fmt: skip
