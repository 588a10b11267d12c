"""Read a decision's case in two calls: who asks about whom, under lock and with what is in force; then every fact of the act."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from psycopg import Connection
from psycopg.rows import dict_row

from domain.clock import require_utc
from domain.errors import NotFound
from domain.roles import Role
from gates.facts import (
    ApprovalFacts,
    ConversationFacts,
    CustomerFacts,
    Facts,
    GrantFacts,
    LoadFacts,
    OperatorFacts,
    VelocityFacts,
)
from gates.inbox import Submission, read_submission
from gates.origins import find_handles
from gates.records import Rows, Subjects, Turn
from gates.registry import BASELINE_KIND, KINDS, InForce, gather_in_force
from storage.named_queries import load_queries

QUERIES = load_queries(Path(__file__).parent / "sql" / "facts.sql")


@dataclass(frozen=True, slots=True)
class OpenedCase:
    """Hold what a decision starts from. Until the transaction ends nobody else decides about this customer or this operator.

    The events are those that told of the message and, once it was decided, of the proposal.
    """

    submission: Submission
    turn: Turn
    latest_decision_id: str | None
    message_event_id: str | None
    submitted_event_id: str | None
    in_force: InForce


def open_case(connection: Connection[Any], proposal_id: str, *, tenant_id: str) -> OpenedCase:
    """Open the case of a proposal in the caller's transaction: two conversations about one customer cannot both fit what is left
    of one budget. What is read here can no longer change. Role gate. Raises: NotFound for no inbox row, or a lost turn.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(QUERIES["open_case"], {"proposal_id": proposal_id, "kinds": KINDS}).fetchone()
    if row is None:
        raise NotFound(f"no proposal {proposal_id}")
    if row["customer_id"] is None:
        raise NotFound("the proposal's conversation or message does not exist")
    turn = Turn(**{name: row.pop(name) for name in ("customer_id", "operator_id", "created_at", "message_matches")}, **_keys(row))
    events: dict[str, str] = orjson.loads(row.pop("events") or "{}")
    latest_decision_id, in_force = row.pop("latest_decision_id"), row.pop("in_force")
    return OpenedCase(
        submission=read_submission(row, tenant_id=tenant_id),
        turn=turn,
        latest_decision_id=latest_decision_id,
        message_event_id=_event_id(events.get("message.received")),
        submitted_event_id=_event_id(events.get("proposal.submitted")),
        in_force=gather_in_force(orjson.loads(in_force or "[]")),
    )


def read_rows(connection: Connection[Any], opened: OpenedCase, *, now: datetime) -> Rows:
    """Read every row that the facts and origins of an act are computed from, all of one moment."""
    submission, turn = opened.submission, opened.turn
    arguments = None if submission.proposal is None else submission.proposal.arguments
    wanted = {} if arguments is None else find_handles(arguments)
    parameters = {
        "proposal_id": submission.proposal_id,
        "conversation_id": turn.conversation_id,
        "message_id": turn.message_id,
        "asked_at": turn.created_at,
        "customer_id": turn.customer_id,
        "operator_id": turn.operator_id,
        "kind": submission.kind.value,
        "handles": list(wanted),
        "handle_kinds": [kind.value for kind in wanted.values()],
        "currency": None if arguments is None else arguments.currency,
        "amount_minor": None if arguments is None else arguments.amount_minor,
        "is_of_hold": arguments is not None and arguments.hold is not None,
        "wants_usual": any(kind == BASELINE_KIND for kind, _ in opened.in_force.targets),
        "now": require_utc(now),
    }
    row = connection.execute(QUERIES["read_facts"], parameters).fetchone()
    assert row is not None
    rows: Rows = orjson.loads(row[0])
    return rows


def gather_facts(rows: Rows, turn: Turn, subjects: Subjects, *, now: datetime) -> Facts:
    """Put the facts of an act together, without approvals.

    A missing customer or operator leaves its group out, as does a record that the act does not have.
    """
    return Facts(
        grant=GrantFacts(granted=subjects.granted),
        transaction=subjects.transaction,
        account=subjects.account,
        customer=_read_customer(rows["customer"], now),
        operator=_read_operator(rows["operator"]),
        conversation=_read_conversation(rows, turn, now),
        approval=ApprovalFacts(count=0),
        velocity=VelocityFacts(*rows["velocity"]),
        load=LoadFacts(**rows["load"]),
        beneficiary=subjects.beneficiary,
        dispute=subjects.dispute,
        card=subjects.card,
        hold=subjects.hold,
        case=subjects.case,
    )


def _read_customer(row: dict[str, Any] | None, now: datetime) -> CustomerFacts | None:
    if row is None:
        return None
    opened_at = datetime.fromisoformat(row["opened_at"])
    rest = {name: value for name, value in row.items() if name != "opened_at"}
    return CustomerFacts(age_days=(require_utc(now) - opened_at).days, **rest)


def _read_operator(row: dict[str, Any] | None) -> OperatorFacts | None:
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


def _read_conversation(rows: Rows, turn: Turn, now: datetime) -> ConversationFacts:
    # Once decided, the turn's age stands still: a review may take its time.
    first_decided_at = rows["first_decided_at"]
    until = now if first_decided_at is None else datetime.fromisoformat(first_decided_at)
    last_message_id = rows["last_message_id"] or ""
    return ConversationFacts(
        message_matches=turn.message_matches,
        message_is_last=last_message_id == turn.message_id,
        message_age_s=int((until - turn.created_at).total_seconds()),
        last_message_id=last_message_id,
        earlier_proposals_count=rows["earlier_proposals_count"],
    )


def _keys(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("conversation_id", "message_id")}


def _event_id(uuid_text: str | None) -> str | None:
    return None if uuid_text is None else f"evt_{uuid_text.replace('-', '')}"
