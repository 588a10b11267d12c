"""Read the facts of one act: the person in the conversation, the operator, the turn, velocity and load."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from domain.clock import require_utc
from domain.roles import Role
from gates.facts import ApprovalFacts, ConversationFacts, CustomerFacts, Facts, GrantFacts, LoadFacts, OperatorFacts
from gates.features import read_velocity
from gates.records import Subjects, Turn
from storage.named_queries import load_queries

QUERIES = load_queries(Path(__file__).parent / "sql" / "facts.sql")


def find_turn(connection: Connection[Any], *, conversation_id: str, message_id: str) -> Turn | None:
    """Return the turn a proposal names, or None when there is no such conversation or message in this tenant."""
    row = _one(connection, "find_turn", {"conversation_id": conversation_id, "message_id": message_id})
    if row is None:
        return None
    last_message_id = row.pop("last_message_id") or ""
    return Turn(conversation_id=conversation_id, message_id=message_id, last_message_id=last_message_id, **row)


def read_facts(
    connection: Connection[Any], *, proposal_id: str, kind: str, currency: str, turn: Turn, subjects: Subjects, now: datetime
) -> Facts:
    """Read every fact of an act in the caller's transaction, without approvals.

    A missing customer or operator leaves its group out, as does a record that the act does not have.
    """
    velocity = read_velocity(
        connection, subjects.ids, operator_id=turn.operator_id, currency=currency, proposal_id=proposal_id, now=now
    )
    return Facts(
        grant=GrantFacts(granted=subjects.granted),
        transaction=subjects.transaction,
        account=subjects.account,
        customer=_read_customer(connection, turn.customer_id, currency=currency, now=now),
        operator=_read_operator(connection, turn.operator_id, kind=kind, currency=currency, now=now),
        conversation=_read_conversation(connection, turn, proposal_id=proposal_id, now=now),
        approval=ApprovalFacts(count=0),
        velocity=velocity,
        load=_read_load(connection, turn.operator_id, proposal_id=proposal_id, now=now),
        beneficiary=subjects.beneficiary,
        dispute=subjects.dispute,
        card=subjects.card,
        hold=subjects.hold,
        case=subjects.case,
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


def _read_load(connection: Connection[Any], operator_id: str, *, proposal_id: str, now: datetime) -> LoadFacts | None:
    row = _one(connection, "count_load", {"operator_id": operator_id, "proposal_id": proposal_id, "now": require_utc(now)})
    return None if row is None else LoadFacts(**row)


def _whole_days(since: datetime, now: datetime) -> int:
    return (require_utc(now) - since).days


def _one(connection: Connection[Any], name: str, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES[name], parameters).fetchone()
