"""The door on the real database and vault: good rows in, bad ones in quarantine, the same file twice changes nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from domain.errors import Unavailable
from serving.ingest.ingest import IngestDeps, IngestReport, TooManyProblems, ingest_file
from serving.ingest.reading import UnreadableFile
from storage.events import list_events_of
from tests.conftest import ConnAs, Tenant
from tests.integration.ingest.conftest import NOW
from tests.unit.ingest.test_reading import ACCOUNT, CARD, CUSTOMER, TRANSACTION

Ingest = Callable[..., IngestReport]
MERCHANT = {"merchant_id": "mrc_1", "name": "Fernhollow Books", "category_code": "5942", "country": "AT"}


def _lines(*rows: dict[str, Any] | bytes) -> io.BytesIO:
    return io.BytesIO(b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows))


@pytest.fixture
def ingest(ingest_deps: IngestDeps, tenant: Tenant) -> Ingest:
    def bring_in(kind: str, *rows: dict[str, Any] | bytes) -> IngestReport:
        return ingest_file(ingest_deps, _lines(*rows), kind, tenant_id=tenant.tenant_id, now=NOW)

    return bring_in


@pytest.fixture
def jobs(conn_as: ConnAs, tenant: Tenant) -> Connection[Any]:
    return conn_as("jobs", tenant)


def _counts(report: IngestReport) -> tuple[int, int, int, int, int]:
    return report.rows_read, report.rows_inserted, report.rows_changed, report.rows_unchanged, report.rows_quarantined


def test_same_file_twice_changes_nothing_and_a_change_is_counted(ingest: Ingest, jobs: Connection[Any]) -> None:
    other = {**CUSTOMER, "customer_id": "cus_2", "name": "Kehinde Ojo"}
    assert _counts(ingest("customers", CUSTOMER, other)) == (2, 2, 0, 0, 0)
    before = jobs.execute("SELECT * FROM core.customers ORDER BY customer_id").fetchall()
    assert _counts(ingest("customers", CUSTOMER, other)) == (2, 0, 0, 2, 0)
    assert jobs.execute("SELECT * FROM core.customers ORDER BY customer_id").fetchall() == before
    assert _counts(ingest("customers", CUSTOMER, {**other, "name": "Kehinde Balogun"})) == (2, 0, 1, 1, 0)
    assert _counts(ingest("customers")) == (0, 0, 0, 0, 0)


def test_tables_hold_tokens_only(ingest: Ingest, jobs: Connection[Any]) -> None:
    ingest("customers", CUSTOMER)
    ingest("accounts", ACCOUNT)
    ingest("cards", CARD)
    row = jobs.execute("SELECT name_token, email_token, birth_date_token, address_token FROM core.customers").fetchone()
    assert row is not None
    assert [value and value.split("_")[0] for value in row] == ["<PERSON", "<EMAIL", "<BIRTH", None]
    (token,) = jobs.execute("SELECT number_token FROM core.accounts").fetchone() or ("",)
    assert token.startswith("<IBAN_")
    assert jobs.execute("SELECT pan_token LIKE '<CARD_%%', last4 FROM core.cards").fetchone() == (True, "1111")
    # The same number written with spaces is the same account.
    assert ingest("accounts", {**ACCOUNT, "number": "DE32 0000 0000 0000 1234 56"}).rows_unchanged == 1


def test_bad_rows_wait_in_quarantine_and_the_rest_goes_on(
    ingest: Ingest, ingest_deps: IngestDeps, tenant: Tenant, jobs: Connection[Any]
) -> None:
    ingest("customers", CUSTOMER)
    ingest("accounts", ACCOUNT)
    ingest("merchants", MERCHANT)
    future = (NOW + timedelta(days=3)).isoformat()
    report = ingest(
        "transactions",
        {**TRANSACTION, "merchant_id": "mrc_1"},
        b"{broken",
        {**TRANSACTION, "transaction_id": "txn_2", "account_id": "acc_404"},
        {**TRANSACTION, "transaction_id": "txn_3", "merchant_id": "mrc_404"},
        {**TRANSACTION, "transaction_id": "txn_4", "currency": "USD"},
        {**TRANSACTION, "transaction_id": "txn_5", "occurred_at": future, "posted_at": future},
        {**TRANSACTION, "amount_minor": 99},
        {**TRANSACTION, "merchant_id": "mrc_1"},
        {**TRANSACTION, "transaction_id": "txn_6", "kind": "merchant_refund", "related_transaction_id": "txn_1"},
        {**TRANSACTION, "transaction_id": "txn_7", "kind": "merchant_refund", "related_transaction_id": "txn_2"},
        {**TRANSACTION, "transaction_id": "4111-1111-1111-1111"},
    )
    assert _counts(report) == (11, 2, 0, 1, 8)
    held = jobs.execute(
        "SELECT line, reason_code, sealed_row FROM core.ingest_quarantine WHERE ingest_id = %s ORDER BY line", [report.ingest_id]
    )
    rows = held.fetchall()
    assert [(line, code) for line, code, _ in rows] == [
        (2, "bad_json"),
        (3, "unknown_parent"),
        (4, "unknown_parent"),
        (5, "foreign_parent"),
        (6, "future_time"),
        (7, "duplicate_id"),
        (10, "unknown_parent"),
        (11, "regulated_value_in_id"),
    ]
    assert [(problem.line, problem.reason_code) for problem in report.problems] == [(line, code) for line, code, _ in rows]
    assert "4111" not in repr(asdict(report))
    sealed = rows[-1][2]
    assert b"4111" not in sealed
    opened = ingest_deps.vault.open_bytes(sealed, tenant_id=tenant.tenant_id, place=f"quarantine|{report.ingest_id}|11")
    assert b"4111-1111-1111-1111" in opened
    assert jobs.execute("SELECT transaction_id FROM core.transactions ORDER BY 1").fetchall() == [("txn_1",), ("txn_6",)]


def test_references_to_others_are_refused(ingest: Ingest) -> None:
    ingest("customers", CUSTOMER, {**CUSTOMER, "customer_id": "cus_2", "name": "Kehinde Ojo"})
    ingest("accounts", ACCOUNT, {**ACCOUNT, "account_id": "acc_2", "customer_id": "cus_2", "number": "GB21TEST00000012345678"})
    ingest("cards", CARD)
    report = ingest(
        "transactions",
        {**TRANSACTION, "card_id": "crd_1"},
        {**TRANSACTION, "transaction_id": "txn_2", "account_id": "acc_2", "card_id": "crd_1"},
        {**TRANSACTION, "transaction_id": "txn_3", "account_id": "acc_2", "related_transaction_id": "txn_1"},
    )
    assert [problem.reason_code for problem in report.problems] == ["foreign_parent", "foreign_parent"]
    device = {
        "device_id": "dev_1",
        "customer_id": "cus_1",
        "platform": "ios",
        "first_seen_at": "2026-01-01T00:00:00Z",
        "trusted": True,
    }
    ingest("devices", device)
    login = {
        "login_id": "lgn_1",
        "customer_id": "cus_2",
        "device_id": "dev_1",
        "country": "DE",
        "outcome": "success",
        "occurred_at": "2026-01-02T00:00:00Z",
    }
    assert [problem.reason_code for problem in ingest("logins", login).problems] == ["foreign_parent"]


def test_operators_keep_their_password_and_their_name(ingest: Ingest, jobs: Connection[Any]) -> None:
    hashed = "$argon2id$v=19$m=65536,t=3,p=4$" + "a" * 22 + "$" + "b" * 43
    ada = {"operator_id": "opr_1", "username": "ada", "display_name": "Ada", "roles": ["support"]}
    ingest("operators", {**ada, "password_hash": hashed}, {**ada, "operator_id": "opr_2", "username": "ben"})
    report = ingest("operators", {**ada, "display_name": "Ada L."}, {**ada, "operator_id": "opr_3"})
    assert _counts(report) == (2, 0, 1, 0, 1)
    assert report.problems[0].reason_code == "username_taken"
    held = jobs.execute("SELECT username, display_name, password_hash FROM core.operators ORDER BY username").fetchall()
    assert held == [("ada", "Ada L.", hashed), ("ben", "Ada", "!")]
    assert (
        ingest(
            "operator_limits", {"operator_id": "opr_9", "action_kind": "refund", "currency": "EUR", "limit_minor": 1}
        ).rows_quarantined
        == 1
    )


def test_screening_starts_again_when_a_payee_changed(
    ingest: Ingest, jobs: Connection[Any], admin_conn: Connection[Any], tenant: Tenant
) -> None:
    ingest("customers", CUSTOMER)
    payee = {"beneficiary_id": "ben_1", "customer_id": "cus_1", "name": "Chioma Eze", "account_number": "DE32000000000000123456",
             "currency": "EUR", "added_at": "2026-01-01T00:00:00Z"}  # fmt: skip
    ingest("beneficiaries", payee)
    state = "SELECT screening_state FROM core.beneficiaries"
    assert jobs.execute(state).fetchone() == ("unknown",)
    admin_conn.execute("UPDATE core.beneficiaries SET screening_state = 'clear' WHERE tenant_id = %s", [tenant.tenant_id])
    ingest("beneficiaries", {**payee, "verified_at": "2026-01-02T00:00:00Z"})
    assert jobs.execute(state).fetchone() == ("clear",)
    ingest("beneficiaries", {**payee, "name": "Chioma Obi"})
    assert jobs.execute(state).fetchone() == ("unknown",)
    assert ingest("beneficiaries", {**payee, "screening_state": "clear"}).problems[0].reason_code == "unknown_field"


def test_run_and_event_are_recorded_once_per_file(ingest: Ingest, jobs: Connection[Any]) -> None:
    report = ingest("merchants", MERCHANT)
    run = jobs.execute("SELECT kind, file_sha256, state, rows_read, rows_inserted, error FROM core.ingest_runs").fetchone()
    assert run == ("merchants", report.file_sha256, "done", 1, 1, None)
    (event,) = list_events_of(jobs, report.ingest_id)
    assert event.event_type == "record.ingested"
    assert event.data["rows_inserted"] == 1


def test_killed_run_is_completed_by_the_next(
    ingest_deps: IngestDeps, tenant: Tenant, jobs: Connection[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("serving.ingest.ingest._CHUNK_ROWS", 10)
    path = tmp_path / "customers.jsonl"
    path.write_bytes(_lines(*({**CUSTOMER, "customer_id": f"cus_{number}"} for number in range(45))).getvalue())
    real, calls = ingest_deps.transact_vault, 0

    def goes_down(tenant_id: str) -> Any:
        nonlocal calls
        calls += 1
        # A chunk asks twice: who was erased, and for the tokens. This is the third chunk's second time.
        if calls == 6:
            raise Unavailable("the database is down")
        return real(tenant_id)

    with pytest.raises(Unavailable):
        ingest_file(replace(ingest_deps, transact_vault=goes_down), path, "customers", tenant_id=tenant.tenant_id, now=NOW)
    assert jobs.execute("SELECT count(*) FROM core.customers").fetchone() == (20,)
    assert jobs.execute("SELECT state FROM core.ingest_runs").fetchone() == ("running",)
    report = ingest_file(ingest_deps, path, "customers", tenant_id=tenant.tenant_id, now=NOW)
    assert _counts(report) == (45, 25, 0, 20, 0)
    assert jobs.execute("SELECT count(*) FROM core.customers").fetchone() == (45,)
    assert sorted(jobs.execute("SELECT state FROM core.ingest_runs").fetchall()) == [("done",), ("failed",)]


def test_files_that_cannot_be_read(ingest_deps: IngestDeps, tenant: Tenant, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.jsonl", tmp_path):
        with pytest.raises(UnreadableFile, match="cannot read"):
            ingest_file(ingest_deps, path, "customers", tenant_id=tenant.tenant_id, now=NOW)


def test_wrong_kind_of_file_stops_early(ingest: Ingest, jobs: Connection[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.ingest.ingest._MAX_QUARANTINED", 5)
    with pytest.raises(TooManyProblems, match="is this a file of merchants"):
        ingest("merchants", *([CUSTOMER] * 6))
    row = jobs.execute("SELECT state, rows_quarantined, error FROM core.ingest_runs").fetchone()
    assert row is not None
    assert row[:2] == ("failed", 6)
    assert "more than 5 bad rows" in row[2]


def test_csv_file_by_its_suffix(ingest_deps: IngestDeps, tenant: Tenant, jobs: Connection[Any], tmp_path: Path) -> None:
    path = tmp_path / "merchants.csv"
    path.write_text("merchant_id,name,category_code,country\nmrc_1,Fernhollow Books,5942,AT\nmrc_2,Bad,59,AT\n")
    report = ingest_file(ingest_deps, path, "merchants", tenant_id=tenant.tenant_id, now=NOW)
    assert _counts(report) == (2, 1, 0, 0, 1)
    assert report.problems[0].line == 3


def test_rows_of_one_tenant_are_not_parents_for_another(
    ingest: Ingest, ingest_deps: IngestDeps, other_tenant: Tenant, keys: Any
) -> None:
    ingest("customers", CUSTOMER)
    keys.ensure_tenant_keys(other_tenant.tenant_id)
    report = ingest_file(ingest_deps, _lines(ACCOUNT), "accounts", tenant_id=other_tenant.tenant_id, now=NOW)
    assert [problem.reason_code for problem in report.problems] == ["unknown_parent"]
