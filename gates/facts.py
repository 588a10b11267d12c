"""Facts: what the gate knows about an act, read from our own tables and never from the proposal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from domain.clock import require_utc
from domain.roles import Role
from gates.decide import FactValue
from storage.named_queries import load_queries

QUERIES = load_queries(Path(__file__).parent / "sql" / "facts.sql")

# Equal charges are looked for within a day; this stands where there is none.
_NO_TWIN_S = 86_401
# These change because time passes, not because anything happened: an approval is not bound to them.
CLOCK_FACTS = frozenset(
    {
        "transaction.age_days", "customer.age_days", "customer.refunds_1d_count", "customer.refunds_30d_count",
        "customer.refunds_30d_minor", "customer.failed_logins_7d_count", "operator.refunds_1d_count", "approval.count",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GrantFacts:
    """Say whether the proposal's handle is a transaction that this conversation may name."""

    granted: bool


@dataclass(frozen=True, slots=True)
class TransactionFacts:
    """Hold the bank's record of the transaction, what is left of it, the nearest equal charge within a day, and who named it."""

    kind: str
    status: str
    currency: str
    amount_minor: int
    remaining_minor: int
    refund_count: int
    age_days: int
    is_duplicate: bool
    duplicate_gap_s: int
    owner_matches: bool
    is_disputed: bool
    named_by_staff: bool


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """Hold the standing of the transaction's account."""

    status: str
    currency: str


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """Hold the standing of the conversation's customer and the refunds executed for him. Sums are in the act's currency."""

    kyc_status: str
    age_days: int
    refunds_1d_count: int
    refunds_30d_count: int
    refunds_30d_minor: int
    refunds_total_count: int
    failed_logins_7d_count: int


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """Hold the rights of the operator who asked, his own limit for this kind and currency, and his pace."""

    active: bool
    is_support: bool
    is_investigator: bool
    is_onboarding: bool
    is_approver: bool
    is_auditor: bool
    is_admin: bool
    limit_minor: int
    refunds_1d_count: int


@dataclass(frozen=True, slots=True)
class ConversationFacts:
    """Hold whether the proposal belongs to a turn that an operator really made, and how fresh that is."""

    message_matches: bool
    message_is_last: bool
    message_age_s: int
    last_message_id: str
    earlier_proposals_count: int


@dataclass(frozen=True, slots=True)
class ApprovalFacts:
    """Count valid approvals by people who may give them, the proposer not among them."""

    count: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Hold all facts of one act. A group that does not exist (an ungranted transaction) is None and stays out."""

    grant: GrantFacts
    transaction: TransactionFacts | None
    account: AccountFacts | None
    customer: CustomerFacts | None
    operator: OperatorFacts | None
    conversation: ConversationFacts
    approval: ApprovalFacts

    def to_record(self) -> dict[str, FactValue]:
        """Return the flat form `group.fact` that decisions are made from and that their rows keep."""
        record: dict[str, FactValue] = {}
        for group in fields(self):
            value = getattr(self, group.name)
            if value is not None:
                record |= {f"{group.name}.{fact.name}": getattr(value, fact.name) for fact in fields(value)}
        return record


@dataclass(frozen=True, slots=True)
class Turn:
    """Hold the operator's message that a proposal was made from. Written by the edge, so the agents cannot claim it."""

    conversation_id: str
    message_id: str
    customer_id: str
    operator_id: str
    created_at: datetime
    message_matches: bool
    last_message_id: str


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """Hold a transaction as the gate read it."""

    transaction_id: str
    account_id: str
    customer_id: str
    facts: TransactionFacts
    account: AccountFacts


def find_turn(connection: Connection[Any], *, conversation_id: str, message_id: str) -> Turn | None:
    """Return the turn a proposal names, or None when there is no such conversation or message in this tenant."""
    row = _one(connection, "find_turn", {"conversation_id": conversation_id, "message_id": message_id})
    if row is None:
        return None
    return Turn(
        conversation_id=conversation_id,
        message_id=message_id,
        customer_id=row["customer_id"],
        operator_id=row["operator_id"],
        created_at=row["created_at"],
        message_matches=row["message_matches"],
        last_message_id=row["last_message_id"] or "",
    )


def find_transaction(connection: Connection[Any], transaction_id: str, *, turn: Turn, now: datetime) -> TransactionRecord | None:
    """Return the record of a transaction with its remainder, and how it stands to the turn's customer and message."""
    keys = {"transaction_id": transaction_id, "conversation_id": turn.conversation_id, "message_id": turn.message_id}
    row = _one(connection, "find_transaction", keys)
    if row is None:
        return None
    return TransactionRecord(
        transaction_id=transaction_id,
        account_id=row["account_id"],
        customer_id=row["customer_id"],
        facts=TransactionFacts(
            kind=row["kind"],
            status=row["status"],
            currency=row["currency"],
            amount_minor=row["amount_minor"],
            remaining_minor=row["remaining_minor"],
            refund_count=row["refund_count"],
            age_days=_whole_days(row["occurred_at"], now),
            is_duplicate=row["twin_gap_s"] is not None,
            duplicate_gap_s=_NO_TWIN_S if row["twin_gap_s"] is None else row["twin_gap_s"],
            owner_matches=row["customer_id"] == turn.customer_id,
            is_disputed=row["is_disputed"],
            named_by_staff=row["named_by_staff"],
        ),
        account=AccountFacts(status=row["account_status"], currency=row["account_currency"]),
    )


def read_facts(
    connection: Connection[Any],
    *,
    proposal_id: str,
    kind: str,
    currency: str,
    turn: Turn,
    granted: bool,
    transaction: TransactionRecord | None,
    approval_count: int,
    now: datetime,
) -> Facts:
    """Read every fact of an act in the caller's transaction. A missing customer or operator leaves its group out."""
    return Facts(
        grant=GrantFacts(granted=granted),
        transaction=transaction.facts if transaction else None,
        account=transaction.account if transaction else None,
        customer=_read_customer(connection, turn.customer_id, currency=currency, now=now),
        operator=_read_operator(connection, turn.operator_id, kind=kind, currency=currency, now=now),
        conversation=_read_conversation(connection, turn, proposal_id=proposal_id, now=now),
        approval=ApprovalFacts(count=approval_count),
    )


def _read_customer(connection: Connection[Any], customer_id: str, *, currency: str, now: datetime) -> CustomerFacts | None:
    row = _one(connection, "find_customer", {"customer_id": customer_id, "currency": currency, "now": require_utc(now)})
    if row is None:
        return None
    opened_at = row.pop("opened_at")
    return CustomerFacts(age_days=_whole_days(opened_at, now), **row)


def _read_operator(
    connection: Connection[Any], operator_id: str, *, kind: str, currency: str, now: datetime
) -> OperatorFacts | None:
    parameters = {"operator_id": operator_id, "action_kind": kind, "currency": currency, "now": require_utc(now)}
    row = _one(connection, "find_operator", parameters)
    if row is None:
        return None
    roles = frozenset(row["roles"])
    return OperatorFacts(
        active=row["active"],
        is_support=Role.SUPPORT in roles,
        is_investigator=Role.INVESTIGATOR in roles,
        is_onboarding=Role.ONBOARDING in roles,
        is_approver=Role.APPROVER in roles,
        is_auditor=Role.AUDITOR in roles,
        is_admin=Role.ADMIN in roles,
        limit_minor=row["limit_minor"],
        refunds_1d_count=row["refunds_1d_count"],
    )


def _read_conversation(connection: Connection[Any], turn: Turn, *, proposal_id: str, now: datetime) -> ConversationFacts:
    keys = {"proposal_id": proposal_id, "conversation_id": turn.conversation_id, "message_id": turn.message_id}
    history = _one(connection, "find_history", keys) or {"first_decided_at": None, "earlier_proposals_count": 0}
    # Once decided, the turn's age stands still: a review may take its time.
    until = history["first_decided_at"] or now
    return ConversationFacts(
        message_matches=turn.message_matches,
        message_is_last=turn.last_message_id == turn.message_id,
        message_age_s=int((until - turn.created_at).total_seconds()),
        last_message_id=turn.last_message_id,
        earlier_proposals_count=history["earlier_proposals_count"],
    )


def _whole_days(since: datetime, now: datetime) -> int:
    return (require_utc(now) - since).days


def _one(connection: Connection[Any], name: str, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES[name], parameters).fetchone()
