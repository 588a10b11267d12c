"""A case is opened once for its cause, closed once by a person, and never comes back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection, errors

from domain.canonical import NotCanonical
from domain.case import CaseKind, CaseOutcome, CaseState
from domain.errors import BrokenInvariant
from domain.ids import InvalidId, make_id
from storage.cases import (
    BUCKETS,
    CaseClosed,
    CaseNotFound,
    OutcomeNotForPeople,
    close_case,
    find_case,
    list_ageing,
    list_cases,
    open_case,
    require_case,
    settle_cases,
)
from storage.events import list_events_of
from storage.roles import LOGIN_ROLES, LoginRole
from tests.conftest import ConnAs, Tenant

NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
KIM = "opr_kim"


@pytest.fixture
def jobs(conn_as: ConnAs, tenant: Tenant) -> Connection[Any]:
    return conn_as("jobs", tenant)


@pytest.fixture
def edge(conn_as: ConnAs, tenant: Tenant, admin_conn: Connection[Any]) -> Connection[Any]:
    admin_conn.execute(
        "INSERT INTO core.operators (tenant_id, operator_id, username, display_name, password_hash, roles)"
        " VALUES (%s, %s, 'kim', 'Kim Adeyemi', 'x', '{admin}')",
        [tenant.tenant_id, KIM],
    )
    return conn_as("edge", tenant)


def opened(connection: Connection[Any], subject: str = "stl_1", **changes: Any) -> str:
    given: dict[str, Any] = {
        "kind": CaseKind.RECONCILIATION_BREAK,
        "subject": subject,
        "facts": {"break": "missing_in_ledger", "days": 3},
        "amount_minor": -4990,
        "currency": "EUR",
        "now": NOW,
        "due_at": NOW + timedelta(days=3),
    }
    with connection.transaction():
        return open_case(connection, **(given | changes))


@pytest.mark.parametrize("role", ["jobs", "gate"])
def test_opening_again_gives_the_same_case_and_one_event(role: LoginRole, conn_as: ConnAs, tenant: Tenant) -> None:
    connection = conn_as(role, tenant)
    case_id = opened(connection)
    assert opened(connection, now=NOW + timedelta(hours=1), facts={"other": 1}, due_at=NOW + timedelta(days=9)) == case_id
    assert opened(connection, opened_for="another cause of the same open question") == case_id
    case = require_case(connection, case_id)
    assert (case.state, case.subject, case.opened_for) == (CaseState.OPEN, "stl_1", "stl_1")
    assert (case.amount_minor, case.currency, case.opened_at) == (-4990, "EUR", NOW)
    assert case.facts == {"break": "missing_in_ledger", "days": 3}
    events = list_events_of(connection, case_id)
    assert [event.event_type for event in events] == ["case.opened"]
    assert events[0].data["facts"] == case.facts


def test_the_same_subject_of_another_kind_is_another_case(jobs: Connection[Any]) -> None:
    assert opened(jobs) != opened(jobs, kind=CaseKind.INSTRUCTION_FAILED)


def test_opening_is_undone_with_its_cause(jobs: Connection[Any]) -> None:
    with jobs.transaction(force_rollback=True):
        case_id = opened(jobs)
    assert find_case(jobs, case_id) is None
    assert list_events_of(jobs, case_id) == []


def test_two_who_open_at_once_get_one_case(conn_as: ConnAs, tenant: Tenant) -> None:
    connections = [conn_as("jobs", tenant) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(opened, connections))) == 1


def test_a_person_closes_once(jobs: Connection[Any], edge: Connection[Any]) -> None:
    case_id = opened(jobs)
    later = NOW + timedelta(days=1)
    with edge.transaction():
        case = close_case(edge, case_id, operator_id=KIM, outcome=CaseOutcome.EXPLAINED, note="bank fee", now=later)
    assert (case.state, case.closed_by, case.outcome, case.closed_at) == (CaseState.CLOSED, KIM, CaseOutcome.EXPLAINED, later)
    again = close_case(edge, case_id, operator_id=KIM, outcome=CaseOutcome.EXPLAINED, note="later words", now=later)
    assert again == case
    with pytest.raises(CaseClosed):
        close_case(edge, case_id, operator_id=KIM, outcome=CaseOutcome.WRITTEN_OFF, note="", now=later)
    assert settle_cases(jobs, [case_id], outcome=CaseOutcome.MATCHED_LATER, now=later) == 0
    assert opened(jobs) == case_id
    events = list_events_of(edge, case_id)
    assert [event.event_type for event in events] == ["case.opened", "case.closed"]
    assert "bank fee" not in events[1].model_dump_json()


def test_what_settled_itself_is_closed_in_nobodys_name(jobs: Connection[Any], edge: Connection[Any]) -> None:
    case_id = opened(jobs)
    assert settle_cases(jobs, [case_id], outcome=CaseOutcome.MATCHED_LATER, now=NOW) == 1
    assert require_case(edge, case_id).closed_by == "system"
    # The thing is open again for another cause: a case of its own.
    assert opened(jobs, opened_for="stl_1#2") != case_id


def test_wrong_ends_are_refused(jobs: Connection[Any], edge: Connection[Any]) -> None:
    case_id = opened(jobs)
    end: dict[str, Any] = {"note": "", "now": NOW}
    with pytest.raises(OutcomeNotForPeople):
        close_case(edge, case_id, operator_id=KIM, outcome=CaseOutcome.MATCHED_LATER, **end)
    with pytest.raises(BrokenInvariant):
        settle_cases(jobs, [case_id], outcome=CaseOutcome.WRITTEN_OFF, now=NOW)
    with pytest.raises(errors.InsufficientPrivilege, match="needs an operator"):
        close_case(edge, case_id, operator_id="opr_nobody", outcome=CaseOutcome.EXPLAINED, **end)
    with pytest.raises(errors.InsufficientPrivilege, match="nobody's name"):
        close_case(jobs, case_id, operator_id=KIM, outcome=CaseOutcome.EXPLAINED, **end)
    with pytest.raises(CaseNotFound):
        close_case(edge, make_id("cas", NOW), operator_id=KIM, outcome=CaseOutcome.EXPLAINED, **end)
    with pytest.raises(InvalidId):
        find_case(edge, "cas_1")
    assert require_case(edge, case_id).state is CaseState.OPEN


def test_facts_that_no_event_can_hold_open_nothing(jobs: Connection[Any]) -> None:
    with pytest.raises(NotCanonical):
        opened(jobs, facts={"rate": 0.5})
    assert list_cases(jobs, state=None) == []


@pytest.mark.parametrize("role", sorted(set(LOGIN_ROLES) - {"jobs", "gate"}))
def test_other_roles_open_nothing(role: LoginRole, conn_as: ConnAs, tenant: Tenant) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        opened(conn_as(role, tenant))


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_nobody_removes_or_rewrites_a_case(role: LoginRole, conn_as: ConnAs, tenant: Tenant, jobs: Connection[Any]) -> None:
    opened(jobs)
    for attack in ("DELETE FROM core.cases", "TRUNCATE core.cases", "UPDATE core.cases SET facts = '{}'"):
        with pytest.raises(errors.InsufficientPrivilege):
            conn_as(role, tenant).execute(attack.encode())
    if role == "gate":
        # It closes the cases of freezes, and sees no other to change.
        assert conn_as(role, tenant).execute("UPDATE core.cases SET state = 'closed'").rowcount == 0
    if role in {"auditor", "ai", "vault", "executor"}:
        with pytest.raises(errors.InsufficientPrivilege):
            conn_as(role, tenant).execute("UPDATE core.cases SET state = 'closed'")


def test_even_the_superuser_meets_the_guards(jobs: Connection[Any], admin_conn: Connection[Any]) -> None:
    case_id = opened(jobs)
    settle_cases(jobs, [case_id], outcome=CaseOutcome.SUPERSEDED, now=NOW)
    for attack in ("DELETE FROM core.cases", "TRUNCATE core.cases CASCADE"):
        with pytest.raises(errors.InsufficientPrivilege):
            admin_conn.execute(attack.encode())
    with pytest.raises(errors.CheckViolation, match="stays closed"):
        admin_conn.execute("UPDATE core.cases SET state = 'open' WHERE case_id = %s", [case_id])


def test_another_tenant_sees_and_shares_nothing(conn_as: ConnAs, jobs: Connection[Any], other_tenant: Tenant) -> None:
    case_id = opened(jobs)
    foreign = conn_as("jobs", other_tenant)
    assert find_case(foreign, case_id) is None
    assert opened(foreign) != case_id
    assert [case.tenant_id for case in list_cases(foreign)] == [other_tenant.tenant_id]


def test_pages_go_on_where_the_last_one_ended(jobs: Connection[Any]) -> None:
    made = [opened(jobs, f"stl_{number}", now=NOW + timedelta(seconds=number // 3)) for number in range(7)]
    found: list[str] = []
    while page := list_cases(jobs, kind=CaseKind.RECONCILIATION_BREAK, after=found[-1] if found else None, limit=3):
        found += [case.case_id for case in page]
    assert sorted(found) == sorted(made)
    assert list_cases(jobs, kind=CaseKind.LEDGER_INCIDENT) == []


def test_ageing_counts_in_half_open_buckets(jobs: Connection[Any]) -> None:
    ages = [timedelta(0), timedelta(days=1), timedelta(days=3), timedelta(days=7) - timedelta(seconds=1), timedelta(days=30)]
    ages += [timedelta(days=1) - timedelta(microseconds=1)]
    for number, age in enumerate(ages):
        opened(jobs, f"stl_{number}", now=NOW - age, due_at=NOW - age + timedelta(days=3))
    closed = opened(jobs, "stl_closed", now=NOW - timedelta(days=40), due_at=NOW)
    settle_cases(jobs, [closed], outcome=CaseOutcome.MATCHED_LATER, now=NOW)
    lines = list_ageing(jobs, NOW)
    assert [(line.bucket, line.cases, line.overdue) for line in lines] == [
        ("0-1 d", 2, 0), ("1-3 d", 1, 0), ("3-7 d", 2, 2), ("30+ d", 1, 1)
    ]  # fmt: skip
    assert {line.bucket for line in lines} <= set(BUCKETS)
