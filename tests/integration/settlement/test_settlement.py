"""Steps of batches come in any order and any number of times; what is known is the same."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from psycopg import Connection, errors

from ledger.settlement.batch import BatchState
from ledger.settlement.explaining import explain_payout, list_standings
from ledger.settlement.importing import SettlementReport, import_settlement, read_settlement
from storage.events import list_events_of
from tests.conftest import ConnAs, Tenant

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


def row(state: str, hours: int, *, batch_id: str = "sepa-061", expected: int | None = None, **changes: Any) -> dict[str, Any]:
    made = {
        "batch_id": batch_id, "scheme": "sepa", "state": state, "occurred_at": (NOW + timedelta(hours=hours)).isoformat(),
        "currency": "EUR", "amount_minor": 500, "item_count": 2, "references": ["txn_1"],
    }  # fmt: skip
    if expected is not None:
        made["expected_at"] = (NOW + timedelta(hours=expected)).isoformat()
    return made | changes


@pytest.fixture
def jobs(conn_as: ConnAs, tenant: Tenant) -> Connection[Any]:
    return conn_as("jobs", tenant)


def bring(connection: Connection[Any], tenant: Tenant, *rows: dict[str, Any]) -> SettlementReport:
    content = "\n".join(json.dumps(item) for item in rows).encode()
    with connection.transaction():
        file = read_settlement(io.BytesIO(content), "jsonl", now=NOW)
        return import_settlement(connection, file, tenant_id=tenant.tenant_id, operator_id="opr_kim", now=NOW)


def test_a_payout_is_explained_by_its_batch(jobs: Connection[Any], tenant: Tenant, conn_as: ConnAs) -> None:
    report = bring(
        jobs, tenant, row("expected", -30, expected=-4), row("submitted", -20), row("settled", -1, references=["txn_1", "txn_2"])
    )
    assert (report.new_batches, report.new_states, report.new_members) == (1, 3, 2)
    edge = conn_as("edge", tenant)
    (history,) = explain_payout(edge, "txn_2", NOW).batches
    assert (history.state, history.late_by) == (BatchState.SETTLED, timedelta(hours=3))
    assert [step.recorded_at for step in history.steps] == [NOW] * 3
    assert explain_payout(edge, "txn_9", NOW).batches == ()
    events = list_events_of(edge, f"sha256:{report.sha256}")
    assert [event.data["new_states"] for event in events] == [3]


def test_the_same_file_and_the_same_step_are_no_news(jobs: Connection[Any], tenant: Tenant) -> None:
    first = bring(jobs, tenant, row("submitted", -20))
    again = bring(jobs, tenant, row("submitted", -20))
    assert (again.already_imported, again.new_states) == (True, first.new_states)
    other = bring(jobs, tenant, row("submitted", -20), row("settled", -1))
    assert (other.repeated, other.new_states, other.new_members) == (1, 1, 0)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_in_which_steps_come_is_irrelevant(jobs: Connection[Any], tenant: Tenant, order: tuple[int, ...]) -> None:
    rows = [row("submitted", -20, expected=-4), row("delayed", -5, expected=20, reason_code="scheme_down"), row("settled", -1)]
    for index in order:
        bring(jobs, tenant, rows[index])
    (history,) = explain_payout(jobs, "txn_1", NOW).batches
    assert [step.state for step in history.steps] == ["submitted", "delayed", "settled"]
    assert (history.promised_at, history.expected_at) == (NOW - timedelta(hours=4), NOW + timedelta(hours=20))
    assert [standing.state for standing in list_standings(jobs)] == ["settled"]


def test_of_two_steps_at_one_time_the_later_in_life_counts(jobs: Connection[Any], tenant: Tenant) -> None:
    for number, order in enumerate(permutations(("expected", "submitted", "settled"))):
        bring(jobs, tenant, *(row(state, -1, batch_id=f"b-{number}") for state in order))
    assert {standing.state for standing in list_standings(jobs)} == {"settled"}
    assert list_standings(jobs, state=BatchState.SUBMITTED) == []


def test_a_batch_or_a_step_that_contradicts_what_is_known_is_left_out(jobs: Connection[Any], tenant: Tenant) -> None:
    bring(jobs, tenant, row("submitted", -20, expected=-4))
    report = bring(
        jobs,
        tenant,
        row("settled", -1),
        row("settled", -1, amount_minor=501),
        row("settled", -1, scheme="swift"),
        row("submitted", -20, expected=-3),
        row("returned", -1, batch_id="new", amount_minor=7),
        row("returned", -1, batch_id="new", amount_minor=8),
    )
    assert [(line.line_number, line.reason_code) for line in report.quarantined] == [
        (2, "batch_differs"), (3, "batch_differs"), (4, "state_differs"), (6, "batch_differs")
    ]  # fmt: skip
    assert (report.new_batches, report.new_states) == (1, 2)


def test_the_ai_role_sees_states_and_no_more(
    jobs: Connection[Any], tenant: Tenant, conn_as: ConnAs, other_tenant: Tenant
) -> None:
    bring(jobs, tenant, row("submitted", -20, expected=-4))
    ai = conn_as("ai", tenant)
    assert ai.execute("SELECT reference, state, batch_id FROM ai.settlement_states").fetchall() == [
        ("txn_1", "submitted", "sepa-061")
    ]
    assert conn_as("ai", other_tenant).execute("SELECT COUNT(*) FROM ai.settlement_states").fetchone() == (0,)
    for table in ("settlement.batches", "settlement.batch_states", "settlement.batch_members", "settlement.imports"):
        with pytest.raises(errors.InsufficientPrivilege):
            ai.execute(f"SELECT * FROM {table}".encode())
        for attack in (f"DELETE FROM {table}", f"UPDATE {table} SET tenant_id = tenant_id", f"TRUNCATE {table}"):
            with pytest.raises(errors.InsufficientPrivilege):
                jobs.execute(attack.encode())
    assert explain_payout(conn_as("jobs", other_tenant), "txn_1", NOW).batches == ()
