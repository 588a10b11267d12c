"""Cases: open questions that wait for a person. Opening is idempotent and happens in the transaction of its cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from domain.case import SYSTEM_CLOSER, SYSTEM_OUTCOMES, Case, CaseKind, CaseOutcome, CaseState
from domain.clock import render_time
from domain.errors import BrokenInvariant, Conflict, InvalidInput, NotFound
from domain.event import Event
from domain.ids import make_id, require_id
from storage.events import append_event
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "cases.sql")
_SOURCE = "cases"
BUCKETS = ("0-1 d", "1-3 d", "3-7 d", "7-30 d", "30+ d")


class CaseNotFound(NotFound):
    """Say that the tenant has no such case."""

    code = "case_not_found"


class CaseClosed(Conflict):
    """Say that a case was closed before: it stays as it was closed."""

    code = "case_closed"


class OutcomeNotForPeople(InvalidInput):
    """Say that an outcome is one that only a program gives."""

    code = "outcome_not_for_people"


@dataclass(frozen=True, slots=True)
class AgeingLine:
    """Hold how many open cases of a kind have waited how long. `bucket` is one of BUCKETS."""

    kind: str
    bucket: str
    cases: int
    overdue: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class NewCase:
    """Hold a case that is to be opened. `opened_for` is its cause; `facts` hold no regulated value."""

    kind: CaseKind
    subject: str
    opened_for: str
    facts: Mapping[str, Any]
    amount_minor: int | None
    currency: str | None
    due_at: datetime


def open_case(
    connection: Connection[Any],
    *,
    kind: CaseKind | str,
    subject: str,
    facts: Mapping[str, Any],
    amount_minor: int | None,
    currency: str | None,
    now: datetime,
    due_at: datetime,
    opened_for: str | None = None,
) -> str:
    """Open a case, with its event `case.opened`, and return its id; the id of the earlier one when it was opened before.

    `opened_for` is the cause and by default the subject. Idempotency: as `open_cases`. Raises: NotCanonical.
    """
    case = NewCase(CaseKind(kind), subject, opened_for or subject, facts, amount_minor, currency, due_at)
    opened = open_cases(connection, [case], now=now)
    return opened[0] if opened else _find_opened(connection, case)


def open_cases(connection: Connection[Any], cases: Sequence[NewCase], *, now: datetime) -> list[str]:
    """Open cases, each with its event `case.opened`, and return the ids of those that were not there.

    Idempotency: one case for each kind and cause, closed or not, and one open case for each kind and subject; what is there
    already stays as it is. Raises: NotCanonical.
    """
    by_id = {make_id("cas", now): case for case in cases}
    parameters = {
        "now": now,
        "case_ids": list(by_id),
        "kinds": [case.kind.value for case in by_id.values()],
        "subjects": [case.subject for case in by_id.values()],
        "causes": [case.opened_for for case in by_id.values()],
        "amounts": [case.amount_minor for case in by_id.values()],
        "currencies": [case.currency for case in by_id.values()],
        "facts": [Jsonb(dict(case.facts)) for case in by_id.values()],
        "due_at": [case.due_at for case in by_id.values()],
    }
    opened = connection.execute(_QUERIES["insert_cases"], parameters).fetchall()
    with connection.pipeline():
        for tenant_id, case_id in opened:
            case = by_id[case_id]
            data = {"case_id": case_id, "kind": case.kind.value, "subject": case.subject, "opened_for": case.opened_for}
            data |= {"due_at": render_time(case.due_at), "facts": dict(case.facts)}
            _append(connection, "case.opened", tenant_id, data, now=now, amount_minor=case.amount_minor, currency=case.currency)
    return [case_id for _, case_id in opened]


def close_case(
    connection: Connection[Any], case_id: str, *, operator_id: str, outcome: CaseOutcome, note: str, now: datetime
) -> Case:
    """Close a case in an operator's name, with its event `case.closed`. Whether he may is checked by the caller.

    Idempotency: closing it again as the same person with the same outcome returns it as it stands.
    Raises: CaseNotFound, CaseClosed, OutcomeNotForPeople.
    """
    if outcome in SYSTEM_OUTCOMES or operator_id == SYSTEM_CLOSER:
        raise OutcomeNotForPeople(f"the outcome {outcome.value!r} is given by a program alone: choose what you found")
    closed = _close(connection, [case_id], closed_by=operator_id, outcome=outcome, note=note, now=now)
    if closed:
        return closed[0]
    held = require_case(connection, case_id)
    if (held.closed_by, held.outcome) == (operator_id, outcome):
        return held
    raise CaseClosed(f"{case_id} was closed before, with the outcome {held.outcome}: a closed case stays closed")


def settle_cases(connection: Connection[Any], case_ids: Sequence[str], *, outcome: CaseOutcome, now: datetime) -> int:
    """Close cases that have settled themselves, in nobody's name. Returns how many of them were open."""
    if outcome not in SYSTEM_OUTCOMES:
        raise BrokenInvariant(f"the outcome {outcome.value!r} needs a person", code="outcome_needs_person")
    return len(_close(connection, case_ids, closed_by=SYSTEM_CLOSER, outcome=outcome, note="", now=now))


def find_case(connection: Connection[Any], case_id: str) -> Case | None:
    """Return one case of the tenant. Raises: InvalidId."""
    parameters = {"case_id": require_id(case_id, "cas")}
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_QUERIES["find_case"], parameters).fetchone()
    return None if row is None else Case.model_validate(row)


def require_case(connection: Connection[Any], case_id: str) -> Case:
    """Return one case of the tenant. Raises: CaseNotFound, InvalidId."""
    case = find_case(connection, case_id)
    if case is None:
        raise CaseNotFound(f"there is no case {case_id} in this workspace")
    return case


def list_cases(
    connection: Connection[Any],
    *,
    state: CaseState | None = CaseState.OPEN,
    kind: CaseKind | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[Case]:
    """Return cases, oldest first; `after` is the id of the last one of the page before."""
    parameters = {"state": state, "kind": kind, "after": after, "limit": limit}
    with connection.cursor(row_factory=dict_row) as cursor:
        return [Case.model_validate(row) for row in cursor.execute(_QUERIES["list_cases"], parameters)]


def list_ageing(connection: Connection[Any], now: datetime) -> list[AgeingLine]:
    """Return how long the open cases have waited, by kind and bucket; empty buckets are left out."""
    with connection.cursor(row_factory=class_row(AgeingLine)) as cursor:
        return cursor.execute(_QUERIES["list_ageing"], {"now": now}).fetchall()


def _find_opened(connection: Connection[Any], case: NewCase) -> str:
    parameters = {"kind": case.kind.value, "subject": case.subject, "opened_for": case.opened_for}
    row = connection.execute(_QUERIES["find_opened"], parameters).fetchone()
    if row is None:
        raise BrokenInvariant("a case was refused as a repetition and there is none before it", code="case_lost")
    return str(row[0])


def _close(
    connection: Connection[Any], case_ids: Sequence[str], *, closed_by: str, outcome: CaseOutcome, note: str, now: datetime
) -> list[Case]:
    parameters = {
        "case_ids": [require_id(case_id, "cas") for case_id in case_ids],
        "closed_by": closed_by,
        "outcome": outcome.value,
        "note": note,
        "now": now,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        cases = [Case.model_validate(row) for row in cursor.execute(_QUERIES["close_cases"], parameters)]
    with connection.pipeline():
        for case in cases:
            data = {"case_id": case.case_id, "kind": case.kind.value, "subject": case.subject, "closed_by": closed_by}
            # The note is a person's free text: it stays in the case and out of the log that nobody can erase from.
            data |= {"outcome": outcome.value}
            _append(
                connection, "case.closed", case.tenant_id, data, now=now, amount_minor=case.amount_minor, currency=case.currency
            )
    return cases


def _append(
    connection: Connection[Any],
    event_type: str,
    tenant_id: str,
    data: dict[str, Any],
    *,
    now: datetime,
    amount_minor: int | None,
    currency: str | None,
) -> None:
    append_event(
        connection,
        Event(
            event_id=make_id("evt", now),
            event_type=event_type,
            source=_SOURCE,
            subject=data["case_id"],
            tenant_id=tenant_id,
            occurred_at=now,
            recorded_at=now,
            amount_minor=amount_minor,
            currency=currency,
            data=data,
        ),
    )
