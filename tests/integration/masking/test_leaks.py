"""Leak incidents: any process may open one and can do nothing else to the cases; the jobs process looks for the agents."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from psycopg import Error as DatabaseError

from domain.case import CaseKind
from domain.errors import TellergateError
from domain.event import Event
from domain.ids import make_id
from gates.receipts.sequencing import sequence_events
from masking.classes import PiiClass
from masking.guard import LeakBlocked, Surface
from masking.number_index import NumberIndexes
from masking.vault import PiiItem
from serving.edge.process_client import Peer
from serving.inner_api import open_inner_door
from serving.jobs.leaks import LeakDesk, add_leak_routes
from serving.leak_client import LeakClient, LeakGuardUnavailable
from serving.leak_watch import RecordWatch, WatchDeps
from storage.cases import list_cases
from storage.events import append_event, find_event, list_events_of
from storage.leaks import count_leaks, report_leak
from storage.pools import open_pool
from storage.roles import LoginRole
from storage.unit_of_work import unit_of_work
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.masking.conftest import Boundary
from tests.unit.receipts.paper_log import SIGNER

NOW = datetime(2026, 3, 4, 10, 30, tzinfo=UTC)
ACCOUNT = "7304418829"


class _Clock:
    def now(self) -> datetime:
        return NOW


@pytest.mark.parametrize("role", ["edge", "ai", "jobs", "vault", "gate"])
def test_each_process_may_say_so_once(role: LoginRole, conn_as: ConnAs, tenant: Tenant) -> None:
    connection = conn_as(role, tenant)
    place = "text 0123456789ab"
    case_id = report_leak(connection, surface="model", classes=["CARD", "IBAN", "CARD"], place=place, now=NOW)
    assert case_id is not None
    assert report_leak(connection, surface="model", classes=["IBAN", "CARD"], place=place, now=NOW) is None
    reader = conn_as("jobs", tenant)
    (case,) = list_cases(reader)
    assert (case.kind, case.subject, case.opened_for) == (CaseKind.LEAK_INCIDENT, "model", "model:CARD+IBAN:2026-03-04T10")
    assert case.due_at == NOW + timedelta(hours=4)
    (event,) = list_events_of(reader, case_id)
    assert (event.event_type, event.data["facts"], event.data["due_at"]) == (
        "case.opened",
        {"classes": ["CARD", "IBAN"], "place": place, "surface": "model"},
        "2026-03-04T14:30:00.000000Z",
    )
    assert find_event(reader, event.event_id) == event
    assert event.digest()
    assert count_leaks(reader) == 1


def test_nothing_but_names_and_hashes_gets_into_an_incident(conn_as: ConnAs, tenant: Tenant) -> None:
    connection = conn_as("ai", tenant)
    good: dict[str, Any] = {"surface": "model", "classes": ["CARD"], "place": "text 0123456789ab", "now": NOW}
    faults: tuple[dict[str, Any], ...] = (
        {"surface": "pigeon"},
        {"classes": ["4000056655665556"]},
        {"classes": []},
        {"place": "4000 0566 5566 5556"},
    )
    for wrong in faults:
        with pytest.raises(DatabaseError):
            report_leak(connection, **(good | wrong))
    with pytest.raises(DatabaseError):
        connection.execute("SELECT * FROM core.cases")
    with pytest.raises(DatabaseError):
        connection.execute("INSERT INTO core.cases (tenant_id) VALUES ('x')")


def test_roles_that_send_nothing_may_not_report(conn_as: ConnAs, tenant: Tenant) -> None:
    for role in ("executor", "importer", "auditor"):
        with pytest.raises(DatabaseError):
            report_leak(conn_as(role, tenant), surface="log", classes=["CARD"], place="text 0123456789ab", now=NOW)


@pytest.fixture
def desk(boundary: Boundary, database: Database, tenant: Tenant) -> Iterator[LeakDesk]:
    with boundary.transact(boundary.tenant_id) as conn:
        boundary.vault.tokenize(conn, PiiItem(PiiClass.ACCOUNT, ACCOUNT, "cus_other"), tenant_id=boundary.tenant_id)
    pool = open_pool(database.dsn("jobs"), name="test-leaks", max_size=1)
    indexes = NumberIndexes(boundary.transact, boundary.keys)
    yield LeakDesk(tenant.tenant_id, indexes, lambda _: unit_of_work(pool, tenant.context("jobs")), _Clock())
    pool.close()


def _client(desk: LeakDesk) -> LeakClient:
    app = FastAPI()
    open_inner_door(app, process_token="secret", max_body_bytes=1024 * 1024)
    add_leak_routes(app, desk)
    return LeakClient(Peer("jobs", Path("unused"), "secret", httpx.ASGITransport(app=app)))


def test_the_agents_process_learns_that_a_prompt_holds_a_customers_number(
    desk: LeakDesk, tenant: Tenant, conn_as: ConnAs
) -> None:
    async def run() -> None:
        client = _client(desk)
        await client.check(["about <ACCOUNT_7f3a9k2m-q4>", "EUR 49.90"], tenant_id=tenant.tenant_id, surface=Surface.MODEL)
        with pytest.raises(LeakBlocked) as caught:
            await client.check(["fine", f"pay {ACCOUNT} now"], tenant_id=tenant.tenant_id, surface=Surface.MODEL)
        assert (caught.value.classes, ACCOUNT in str(caught.value)) == ((PiiClass.ACCOUNT,), False)
        await client.close()
        with pytest.raises(LeakGuardUnavailable):
            await _client(desk).check(["fine"], tenant_id="another", surface=Surface.MODEL)

    asyncio.run(run())
    (case,) = list_cases(conn_as("jobs", tenant))
    assert case.subject == "model"
    assert ACCOUNT not in str(case)


def test_a_process_without_a_context_has_its_findings_reported(desk: LeakDesk, tenant: Tenant, conn_as: ConnAs) -> None:
    client = _client(desk)
    client.report(tenant_id=tenant.tenant_id, surface=Surface.LOG, classes=["CARD"], place="log turn_failed")
    (case,) = list_cases(conn_as("jobs", tenant))
    assert (case.subject, case.facts["place"]) == ("log", "log turn_failed")
    with pytest.raises(TellergateError):
        client.report(tenant_id=tenant.tenant_id, surface=Surface.LOG, classes=["CARD"], place="4000 0566 5566 5556")


def test_without_an_answer_nothing_leaves(desk: LeakDesk, tenant: Tenant) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    for transport in (
        httpx.MockTransport(refuse),
        httpx.MockTransport(lambda _: httpx.Response(500, json={"code": "x"})),
        httpx.MockTransport(lambda _: httpx.Response(200, json={"classes": ["PIGEON"]})),
        httpx.MockTransport(lambda _: httpx.Response(200, json={})),
    ):
        client = LeakClient(Peer("jobs", Path("unused"), "secret", transport))
        with pytest.raises(LeakGuardUnavailable):
            asyncio.run(client.check(["text"], tenant_id=tenant.tenant_id, surface=Surface.MODEL))


def test_the_watch_takes_up_what_the_log_says(
    desk: LeakDesk, boundary: Boundary, database: Database, tenant: Tenant, conn_as: ConnAs
) -> None:
    told: list[str] = []
    watch = RecordWatch(WatchDeps((tenant.tenant_id,), desk.transact, desk.indexes, (told.append,)))
    assert watch.look(tenant.tenant_id)
    assert not watch.look(tenant.tenant_id)
    with boundary.transact(boundary.tenant_id) as conn:
        boundary.vault.tokenize(conn, PiiItem(PiiClass.ACCOUNT, "5550001112", "cus_other"), tenant_id=boundary.tenant_id)
    assert not watch.look(tenant.tenant_id)
    log_event(conn_as, database, tenant, "case.opened")
    assert not watch.look(tenant.tenant_id)
    log_event(conn_as, database, tenant, "record.ingested")
    assert list(desk.indexes.of(tenant.tenant_id).find("5550001112")) == []
    assert watch.look(tenant.tenant_id)
    assert list(desk.indexes.of(tenant.tenant_id).find("5550001112"))
    assert not watch.look(tenant.tenant_id)
    assert told == [tenant.tenant_id] * 2


def log_event(conn_as: ConnAs, database: Database, tenant: Tenant, event_type: str) -> None:
    """Append an event and give it its place in the log."""
    event = Event(
        event_id=make_id("evt", NOW),
        event_type=event_type,
        source="test",
        subject="one",
        tenant_id=tenant.tenant_id,
        occurred_at=NOW,
        recorded_at=NOW,
        data={},
    )
    append_event(conn_as("jobs", tenant), event)
    pool = open_pool(database.dsn("gate"), name="test-sequencer", max_size=1)
    assert sequence_events(pool, tenant.context("gate"), SIGNER, now=NOW).events == 1
    pool.close()
