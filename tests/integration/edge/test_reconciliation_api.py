"""Statements, breaks, cases and settlement over HTTP, with the jobs process's own routes behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from psycopg import Connection

from domain.ids import make_id
from serving.edge.process_client import Peer
from serving.edge.reconciliation_client import ReconciliationClient
from serving.inner_api import open_inner_door
from serving.jobs.reconciliation import ReconciliationDesk, add_reconciliation_routes
from storage.pools import open_pool
from storage.unit_of_work import unit_of_work
from tests.conftest import Database, Tenant
from tests.integration.edge.served import Served
from tests.integration.edge.world import EdgeWorld, MachineClock

TOKEN = "jobs-token"
HEADER = "booked_on,amount,currency,entry_reference,reference\n"
HOUSE = "house:refunds:EUR"


@pytest.fixture
def jobs_world(world: EdgeWorld, database: Database, tenant: Tenant) -> Iterator[EdgeWorld]:
    """The edge's world with a jobs process that takes statements in."""
    pool = open_pool(database.dsn("jobs"), name="test-jobs")

    def transact(tenant_id: str) -> AbstractContextManager[Connection[Any]]:
        return unit_of_work(pool, Tenant(tenant_id, tenant.context_key).context("jobs"))

    app = FastAPI()
    open_inner_door(app, process_token=TOKEN, max_body_bytes=16_384)
    add_reconciliation_routes(app, ReconciliationDesk(transact, world.deps.options.ingest_dir, MachineClock()))
    jobs = Served(app, uds=world.folder / "jobs.sock")
    world.stop("edge")
    world.deps = replace(world.deps, reconciliation=ReconciliationClient(Peer("jobs", world.folder / "jobs.sock", TOKEN)))
    world.start("edge")
    yield world
    jobs.stop()
    pool.close()


@pytest.fixture
def kim(jobs_world: EdgeWorld) -> httpx.Client:
    return jobs_world.sign_in("kim")


def refund(world: EdgeWorld) -> dict[str, Any]:
    posting: dict[str, Any] = world.ask(world.sign_in("ada"), "Was I charged twice?").json()["posting"]
    return posting


def bring(client: httpx.Client, content: str | bytes, **query: str) -> httpx.Response:
    return client.post("/api/v1/statements", params={"format": "csv"} | query, content=content)


def test_a_statement_goes_in_and_what_is_left_is_closed_by_a_person(jobs_world: EdgeWorld, kim: httpx.Client) -> None:
    posting = refund(jobs_world)
    day = MachineClock().now().date().isoformat()
    content = f"{HEADER}{day},-49.90,EUR,B1,{posting['transfer_id']}\n{day},-3.33,EUR,B2,\nx,1,EUR,B3,\n"
    answer = bring(kim, content, account=HOUSE)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert (report["matched"], report["breaks"]) == ({"exact_reference": 1}, {"missing_in_ledger": 1})
    assert report["quarantined"] == [{"line_number": 4, "reason_code": "bad_date", "reason": "expected a day such as 2026-01-31"}]
    assert bring(kim, content).json()["already_imported"]
    assert list(jobs_world.deps.options.ingest_dir.iterdir()) == []

    status = kim.get("/api/v1/reconciliation/status").json()
    assert [(row["code"], row["lines"], row["open_lines"]) for row in status["accounts"]] == [(HOUSE, 2, 1)]
    assert [(row["kind"], row["breaks"], row["amount_minor"]) for row in status["breaks"]] == [("missing_in_ledger", 1, 333)]
    (item,) = kim.get("/api/v1/reconciliation/breaks", params={"account": HOUSE, "kind": "missing_in_ledger"}).json()["items"]
    assert kim.get("/api/v1/reconciliation/breaks", params={"kind": "ambiguous"}).json()["items"] == []
    assert kim.get(f"/api/v1/cases/{item['case_id']}").json() == item

    path, end = f"/api/v1/cases/{item['case_id']}/close", {"outcome": "explained", "note": "fee"}
    closed = kim.post(path, json=end)
    assert (closed.status_code, closed.json()["closed_by"]) == (200, "opr_kim")
    assert kim.post(path, json=end).json() == closed.json()
    assert kim.post(path, json=end | {"outcome": "written_off"}).status_code == 409
    assert kim.get("/api/v1/cases").json()["items"] == []
    assert len(kim.get("/api/v1/cases", params={"state": "all"}).json()["items"]) == 1
    assert kim.get("/api/v1/cases/ageing").json() == {"items": []}

    rows = jobs_world.rows("SELECT line_id FROM reconciliation.matches")
    undone = kim.post(f"/api/v1/reconciliation/lines/{rows[0][0]}/unmatch", json={"reason": "another one"})
    assert (undone.status_code, undone.json()["opened"]) == (200, {"missing_in_ledger": 1})


@pytest.mark.parametrize(
    ("query", "content", "status", "code"),
    [
        ({"account": HOUSE}, b"", 422, "empty_file"),
        ({"account": HOUSE}, b"a,b\n", 422, "wrong_header"),
        ({"account": HOUSE, "format": "camt053"}, b"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", 422, "dangerous_xml"),
        ({"account": HOUSE, "format": "mt940"}, b"x", 422, "invalid_request"),
        ({"account": "nowhere"}, b"x", 422, "invalid_request"),
        ({"account": "house:nowhere"}, f"{HEADER}2026-03-02,1,EUR,,\n".encode(), 404, "unknown_ledger_account"),
        ({}, f"{HEADER}2026-03-02,1,EUR,,\n".encode(), 422, "account_not_mapped"),
        ({"account": HOUSE}, b"x" * (32 * 2**20 + 1), 413, "body_too_large"),
    ],
)
def test_bad_files_are_refused_and_leave_nothing(
    jobs_world: EdgeWorld, kim: httpx.Client, query: dict[str, str], content: bytes, status: int, code: str
) -> None:
    answer = bring(kim, content, **query)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    folder = jobs_world.deps.options.ingest_dir
    assert not folder.exists() or list(folder.iterdir()) == []
    assert jobs_world.rows("SELECT 1 FROM reconciliation.statement_files") == []


def test_only_an_admin_writes_and_only_staff_with_a_reason_reads(jobs_world: EdgeWorld) -> None:
    ada, ira = jobs_world.sign_in("ada"), jobs_world.sign_in("ira")
    case_id, line_id = (make_id(prefix, MachineClock().now()) for prefix in ("cas", "stl"))
    writes: list[tuple[str, dict[str, Any]]] = [
        ("/api/v1/statements?format=csv", {}),
        ("/api/v1/settlement/batches?format=csv", {}),
        ("/api/v1/reconciliation/mappings", {"account": "X", "code": HOUSE}),
        (f"/api/v1/reconciliation/lines/{line_id}/unmatch", {"reason": "x"}),
        (f"/api/v1/cases/{case_id}/close", {"outcome": "explained"}),
    ]
    for path, body in writes:
        assert ada.post(path, json=body).status_code == 403, path
        assert ira.post(path, json=body).status_code == 403, path
    for path in ("/api/v1/cases", "/api/v1/reconciliation/status", "/api/v1/reconciliation/breaks"):
        assert ada.get(path).status_code == 403
        assert ira.get(path).status_code == 200
    assert ada.get("/api/v1/settlement/explanations/txn_1").status_code == 200


def test_ids_and_ends_that_are_none(jobs_world: EdgeWorld, kim: httpx.Client) -> None:
    nobodys = make_id("cas", MachineClock().now())
    assert kim.get(f"/api/v1/cases/{nobodys}").status_code == 404
    assert kim.get("/api/v1/cases/cas_1").status_code == 422
    assert kim.get("/api/v1/cases", params={"after": "x"}).status_code == 422
    assert kim.post(f"/api/v1/cases/{nobodys}/close", json={"outcome": "matched_later"}).status_code == 422
    assert kim.post(f"/api/v1/cases/{nobodys}/close", json={"outcome": "explained"}).status_code == 404
    line_id = make_id("stl", MachineClock().now())
    unmatched = kim.post(f"/api/v1/reconciliation/lines/{line_id}/unmatch", json={"reason": "x"})
    assert (unmatched.status_code, unmatched.json()["code"]) == (404, "line_not_matched")
    assert kim.post("/api/v1/reconciliation/mappings", json={"account": "X", "code": "house:nowhere"}).status_code == 404


def test_settlement_goes_in_and_explains_a_payout(jobs_world: EdgeWorld, kim: httpx.Client) -> None:
    now = MachineClock().now()
    row = {
        "batch_id": "sepa-061", "scheme": "sepa", "state": "submitted", "occurred_at": (now - timedelta(hours=9)).isoformat(),
        "expected_at": (now - timedelta(hours=2)).isoformat(), "currency": "EUR", "amount_minor": 500, "item_count": 1,
        "references": ["txn_1"],
    }  # fmt: skip
    content = json.dumps(row) + "\nbroken\n"
    report = kim.post("/api/v1/settlement/batches", params={"format": "jsonl"}, content=content).json()
    assert (report["new_states"], [line["reason_code"] for line in report["quarantined"]]) == (1, ["bad_json"])
    (batch,) = jobs_world.sign_in("ada").get("/api/v1/settlement/explanations/txn_1").json()["batches"]
    assert (batch["state"], batch["late_by"].startswith("PT2H")) == ("submitted", True)
    assert [
        item["batch_id"] for item in kim.get("/api/v1/settlement/batches", params={"state": "submitted"}).json()["items"]
    ] == ["sepa-061"]


def test_without_a_jobs_process_nothing_is_lost(world: EdgeWorld, tmp_path: Path) -> None:
    kim = world.sign_in("kim")
    assert bring(kim, HEADER, account=HOUSE).json()["code"] == "jobs_not_connected"
    world.stop("edge")
    world.deps = replace(world.deps, reconciliation=ReconciliationClient(Peer("jobs", tmp_path / "none.sock", TOKEN)))
    world.start("edge")
    again = world.sign_in("kim")
    answer = bring(again, HEADER, account=HOUSE)
    assert (answer.status_code, answer.json()["code"]) == (503, "jobs_down")
