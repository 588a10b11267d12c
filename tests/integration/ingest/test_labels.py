"""Labels come in late, point at records that exist, are never changed, and nobody who decides can read them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from serving.ingest.ingest import IngestDeps, IngestReport, ingest_file
from storage.roles import LoginRole
from tests.conftest import ConnAs, Tenant
from tests.integration.ingest.conftest import NOW
from tests.unit.ingest.test_reading import ACCOUNT, CUSTOMER, TRANSACTION

Ingest = Callable[..., IngestReport]
OTHER = {**CUSTOMER, "customer_id": "cus_2", "name": "Kehinde Ojo"}
PAYEE = {"beneficiary_id": "ben_1", "customer_id": "cus_1", "name": "Chioma Eze", "account_number": "DE32000000000000123456",
         "currency": "EUR", "added_at": "2026-01-01T00:00:00Z"}  # fmt: skip
LABEL = {"label_id": "lbl_1", "subject_kind": "transaction", "subject_id": "txn_1", "label": "fraud", "pattern": "card_testing",
         "source": "investigation", "occurred_at": "2026-01-02T10:00:00Z", "known_at": "2026-01-09T10:00:00Z"}  # fmt: skip


@pytest.fixture
def ingest(ingest_deps: IngestDeps, tenant: Tenant) -> Ingest:
    def bring_in(kind: str, *rows: dict[str, Any]) -> IngestReport:
        lines = io.BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        return ingest_file(ingest_deps, lines, kind, tenant_id=tenant.tenant_id, now=NOW)

    bring_in("customers", CUSTOMER, OTHER)
    bring_in("accounts", ACCOUNT)
    bring_in("beneficiaries", PAYEE, {**PAYEE, "beneficiary_id": "ben_2", "customer_id": "cus_2"})
    bring_in("transactions", TRANSACTION)
    return bring_in


@pytest.fixture
def jobs(conn_as: ConnAs, tenant: Tenant) -> Connection[Any]:
    return conn_as("jobs", tenant)


def test_labels_are_checked_and_kept(ingest: Ingest, jobs: Connection[Any]) -> None:
    future = (NOW + timedelta(days=3)).isoformat()
    rows = (
        LABEL,
        {**LABEL, "label_id": "lbl_2", "subject_kind": "beneficiary", "subject_id": "ben_1", "pattern": "account_takeover"},
        {**LABEL, "label_id": "lbl_3", "label": "legitimate", "pattern": None, "known_at": "2026-02-01T10:00:00+01:00"},
        {**LABEL, "label_id": "lbl_4", "known_at": "2026-01-09T09:59:59Z"},
        {**LABEL, "label_id": "lbl_5", "known_at": future},
        {**LABEL, "label_id": "lbl_6", "subject_id": "txn_404"},
        {**LABEL, "label_id": "lbl_7", "subject_kind": "dispute"},
        {**LABEL, "label_id": "lbl_8", "pattern": None},
        {**LABEL, "label_id": "lbl_9", "label": "legitimate"},
        {**LABEL, "label_id": "lbl_10", "label": "maybe"},
    )
    report = ingest("labels", *rows)
    assert (report.rows_read, report.rows_inserted, report.rows_quarantined) == (10, 3, 7)
    assert [(problem.line, problem.reason_code) for problem in report.problems] == [
        (4, "known_too_early"),
        (5, "future_time"),
        (6, "unknown_parent"),
        (7, "unknown_parent"),
        (8, "contradiction"),
        (9, "contradiction"),
        (10, "unknown_value"),
    ]
    held = "SELECT label_id, subject_kind, subject_id, label, pattern FROM core.labels ORDER BY label_id"
    assert jobs.execute(held).fetchall() == [
        ("lbl_1", "transaction", "txn_1", "fraud", "card_testing"),
        ("lbl_2", "beneficiary", "ben_1", "fraud", "account_takeover"),
        ("lbl_3", "transaction", "txn_1", "legitimate", None),
    ]


def test_a_held_label_is_never_changed(ingest: Ingest, jobs: Connection[Any], admin_conn: Connection[Any]) -> None:
    assert ingest("labels", LABEL).rows_inserted == 1
    same_written_otherwise = {**LABEL, "known_at": "2026-01-09T11:00:00+01:00"}
    again = ingest("labels", same_written_otherwise)
    assert (again.rows_inserted, again.rows_unchanged) == (0, 1)
    for changed in ({**LABEL, "known_at": "2026-01-10T10:00:00Z"}, {**LABEL, "label": "legitimate", "pattern": None}):
        report = ingest("labels", changed)
        assert [problem.reason_code for problem in report.problems] == ["label_changed"]
    assert jobs.execute("SELECT label, known_at::TEXT FROM core.labels").fetchall() == [("fraud", "2026-01-09 10:00:00+00")]
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only grows"):
        admin_conn.execute("UPDATE core.labels SET known_at = known_at + INTERVAL '1 day'")


@pytest.mark.parametrize("role", ["gate", "executor", "edge", "ai", "vault"])
def test_who_decides_cannot_read_a_label(role: LoginRole, conn_as: ConnAs, tenant: Tenant) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn_as(role, tenant).execute("SELECT label FROM core.labels")


def test_database_itself_refuses_an_early_label_and_another_tenants(
    ingest: Ingest, jobs: Connection[Any], conn_as: ConnAs, other_tenant: Tenant
) -> None:
    ingest("labels", LABEL)
    assert conn_as("jobs", other_tenant).execute("SELECT COUNT(*) FROM core.labels").fetchone() == (0,)
    insert = (
        "INSERT INTO core.labels (tenant_id, label_id, subject_kind, subject_id, label, pattern, source, occurred_at, known_at)"
        " SELECT tenant_id, 'lbl_x', subject_kind, subject_id, label, pattern, source, occurred_at,"
        " known_at - INTERVAL '1 second' FROM core.labels"
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="labels_come_late"):
        jobs.execute(insert)


def test_a_transfer_names_a_payee_of_the_same_customer(ingest: Ingest, jobs: Connection[Any]) -> None:
    transfer = {**TRANSACTION, "transaction_id": "txn_2", "kind": "transfer_out"}
    report = ingest(
        "transactions",
        {**transfer, "beneficiary_id": "ben_1"},
        {**transfer, "transaction_id": "txn_3", "beneficiary_id": "ben_2"},
        {**transfer, "transaction_id": "txn_4", "beneficiary_id": "ben_404"},
        {**transfer, "transaction_id": "txn_5", "kind": "salary", "beneficiary_id": "ben_1"},
    )
    assert [(problem.line, problem.reason_code) for problem in report.problems] == [
        (2, "foreign_parent"),
        (3, "unknown_parent"),
        (4, "contradiction"),
    ]
    assert jobs.execute("SELECT transaction_id, beneficiary_id FROM core.transactions ORDER BY 1").fetchall() == [
        ("txn_1", None),
        ("txn_2", "ben_1"),
    ]
