"""The demo tenant comes in by the door, once, fast, and nothing regulated stands in the open."""

from __future__ import annotations

import functools
import json
import re
import stat
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from psycopg import Connection

from demo.canaries import add_canaries
from demo.generator import KINDS, generate
from masking.keys import FileKeyProvider
from serving.ingest.demo_load import DemoDeps, load_demo
from serving.ingest.demo_logins import LoginsFileUnusable, read_logins
from serving.ingest.ingest import IngestDeps
from tests.conftest import ConnAs, Tenant
from tests.integration.ingest.conftest import NOW


@pytest.fixture(autouse=True)
def _generate_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.ingest.demo_load.generate", _generate)


_generate = functools.lru_cache(generate)


@pytest.fixture
def demo_deps(ingest_deps: IngestDeps, keys: FileKeyProvider, tenant: Tenant, tmp_path: Path) -> DemoDeps:
    return DemoDeps(
        ingest=ingest_deps,
        ensure_tenant_keys=keys.ensure_tenant_keys,
        logins_path=tmp_path / "var" / "demo-logins.txt",
        scenarios_path=tmp_path / "var" / "demo-scenarios.json",
        tenant_id=tenant.tenant_id,
    )


def test_whole_demo_loads_once_and_fast(
    demo_deps: DemoDeps, conn_as: ConnAs, tenant: Tenant, admin_conn: Connection[Any]
) -> None:
    started_s = time.process_time()
    report = load_demo(demo_deps, NOW)
    cpu_s = time.process_time() - started_s
    print(f"\ngenerate {report.generate_ms} ms, load {report.load_ms} ms, {report.rows} rows, CPU {cpu_s:.1f} s")
    for file in report.files:
        print(f"  {file.kind:<16}{file.rows_read:>7} rows {file.elapsed_ms:>6} ms")
    assert not report.already_loaded
    # CPU time, because other work on the machine stretches the wall clock; the server's share is about as large again.
    assert cpu_s < 25
    assert [file.kind for file in report.files] == list(KINDS)
    assert all(file.rows_inserted == file.rows_read and not file.rows_quarantined for file in report.files)

    jobs = conn_as("jobs", tenant)
    dataset = add_canaries(_generate(seed=demo_deps.seed, as_of=NOW.date()), as_of=NOW)
    for kind in KINDS:
        held = jobs.execute(f"SELECT count(*) FROM core.{kind}").fetchone()
        assert held == (len(dataset.records[kind]),), kind

    states = dict(jobs.execute("SELECT beneficiary_id, screening_state FROM core.beneficiaries").fetchall())
    assert {payee: state for payee, state in states.items() if state != "unknown"} == dataset.screening
    assert set(states.values()) == {"clear", "review", "hit", "unknown"}

    again = load_demo(demo_deps, NOW + timedelta(days=3))
    assert again.already_loaded
    assert again.files == ()

    customer = dataset.records["customers"][0]
    row = jobs.execute(
        "SELECT to_jsonb(c)::text FROM core.customers c WHERE customer_id = %s", [customer["customer_id"]]
    ).fetchone()
    assert row is not None
    assert customer["name"] not in row[0]
    assert customer["email"] not in row[0]
    tables = ["customers", "accounts", "cards", "beneficiaries", "logins", "ingest_quarantine", "transactions"]
    everything = "\n".join(
        row[0]
        for table in tables
        for row in admin_conn.execute(f"SELECT to_jsonb(t)::text FROM core.{table} t WHERE tenant_id = %s", [tenant.tenant_id])
    )
    words = set(re.findall(r"[^\s\",:{}\[\]]+", everything))
    for record in dataset.records["customers"]:
        assert record["email"] not in words
        assert record["phone"] not in words
        assert record["name"] not in everything
    assert not {record["pan"] for record in dataset.records["cards"]} & words
    assert not {record["number"] for record in dataset.records["accounts"]} & words
    assert not {record["ip"] for record in dataset.records["logins"]} & words

    scenarios = json.loads(demo_deps.scenarios_path.read_text())
    small = scenarios["scenarios"]["duplicate_small"]
    found = jobs.execute(
        "SELECT t.amount_minor, a.customer_id FROM core.transactions t JOIN core.accounts a USING (tenant_id, account_id)"
        " WHERE t.transaction_id = ANY(%s)",
        [small["transaction_ids"]],
    ).fetchall()
    assert found == [(small["amount_minor"], small["customer_id"])] * 2


def test_logins_are_private_and_work(
    demo_deps: DemoDeps, conn_as: ConnAs, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.ingest.demo_load.KINDS", ("operators", "operator_limits"))
    load_demo(demo_deps, NOW)
    assert stat.S_IMODE(demo_deps.logins_path.stat().st_mode) == 0o600
    logins = read_logins(demo_deps.logins_path)
    assert set(logins) == {"ada", "ben", "cleo", "dan", "eli", "fay", "gus", "hana", "ira", "jon", "kim", "lee"}
    jobs = conn_as("jobs", tenant)
    stored = dict(jobs.execute("SELECT username, password_hash FROM core.operators").fetchall())
    assert PasswordHasher().verify(stored["ada"], logins["ada"])
    assert PasswordHasher().verify(stored["lee"], logins["lee"])

    demo_deps.logins_path.unlink()
    report = load_demo(demo_deps, NOW)
    assert report.already_loaded
    renewed = read_logins(demo_deps.logins_path)
    assert renewed["ada"] != logins["ada"]
    row = jobs.execute("SELECT password_hash FROM core.operators WHERE username = 'ada'").fetchone()
    assert row is not None
    assert PasswordHasher().verify(row[0], renewed["ada"])
    demo_deps.logins_path.chmod(0o644)
    with pytest.raises(LoginsFileUnusable):
        read_logins(demo_deps.logins_path)


def test_load_that_was_killed_goes_on_with_its_own_day(
    demo_deps: DemoDeps, conn_as: ConnAs, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    kinds = ("merchants", "customers", "accounts", "beneficiaries")
    monkeypatch.setattr("serving.ingest.demo_load.KINDS", kinds)
    real = demo_deps.ingest.transact_vault
    calls = 0

    def dies_at_third(tenant_id: str) -> AbstractContextManager[Connection[Any]]:
        nonlocal calls
        calls += 1
        # Each of the three kinds asks twice: who was erased, and for the tokens.
        if calls == 6:
            raise Killed
        return real(tenant_id)

    dying = replace(demo_deps, ingest=replace(demo_deps.ingest, transact_vault=dies_at_third))
    with pytest.raises(Killed):
        load_demo(dying, NOW)
    report = load_demo(demo_deps, NOW + timedelta(days=2))
    assert report.as_of == NOW.date()
    by_kind = {file.kind: file for file in report.files}
    assert by_kind["customers"].rows_unchanged == by_kind["customers"].rows_read
    assert by_kind["beneficiaries"].rows_inserted == by_kind["beneficiaries"].rows_read
    jobs = conn_as("jobs", tenant)
    states = jobs.execute("SELECT kind, state, count(*) FROM core.ingest_runs GROUP BY 1, 2 ORDER BY 1, 2").fetchall()
    assert states == [
        ("accounts", "done", 2),
        ("beneficiaries", "done", 1),
        ("beneficiaries", "failed", 1),
        ("customers", "done", 2),
        ("demo", "done", 1),
        ("merchants", "done", 2),
    ]
