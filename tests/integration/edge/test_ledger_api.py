"""The ledger as those who look after it see it: over the API and at a terminal, each by his role."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from serving.edge.ledger_client import LedgerClient
from serving.edge.process_client import Peer
from serving.jobs.app import JobsDeps, create_jobs_app
from serving.jobs.ledger import KeeperDeps, LedgerKeeper
from storage.jobs import make_job_app
from storage.pools import open_pool
from storage.unit_of_work import snapshot_of_work, unit_of_work
from tests.integration.edge.served import Served
from tests.integration.edge.test_events import Terminal
from tests.integration.edge.world import EdgeWorld, MachineClock
from tests.integration.ledger.house import ALICE, BANK, BOB, House, make_hold, make_request

TOKEN = "jobs-token"
READS = (
    "accounts",
    "balance?account=customer:alice&currency=EUR",
    "statement?account=customer:alice&currency=EUR",
    "holds",
    "trial-balance",
)


@dataclass(slots=True)
class Books:
    """A tenant with money in its ledger, and a jobs process that checks it."""

    world: EdgeWorld
    house: House
    jobs: Served

    def read(self, path: str, username: str = "ira") -> Any:
        """Return the answer to a GET."""
        return self.world.sign_in(username).get(f"/api/v1/ledger/{path}")


@pytest.fixture
def books(world: EdgeWorld) -> Iterator[Books]:
    pool = open_pool(world.database.dsn("jobs"), name="test-jobs-ledger", max_size=2)
    keeper = LedgerKeeper(
        KeeperDeps(
            tenant_ids=(),
            transact=lambda _: unit_of_work(pool, world.tenant.context("jobs")),
            snapshot=lambda _: snapshot_of_work(pool, world.tenant.context("jobs")),
            clock=MachineClock(),
            stopwatch_ns=lambda: 0,
        )
    )
    deps = JobsDeps(
        ingest=None,  # type: ignore[arg-type]
        ingest_dir=world.folder,
        job_app=make_job_app(world.database.dsn("jobs")),
        clock=MachineClock(),
        process_token=TOKEN,
        ledger=keeper,
    )
    socket_path = world.folder / "jobs.sock"
    jobs = Served(create_jobs_app(deps), uds=socket_path)
    world.stop("edge")
    world.deps = replace(world.deps, ledger=LedgerClient(Peer("jobs", socket_path, TOKEN)))
    world.start("edge")
    admin = psycopg.connect(world.database.admin_dsn(), autocommit=True)
    house = House(world.tenant, world.conn_as, admin)
    house.open_accounts()
    house.bring_in(ALICE, 1_000)
    house.bring_in(BOB, 500)
    yield Books(world, house, jobs)
    jobs.stop()
    pool.close()
    admin.close()


def test_accounts_balances_and_statements(books: Books) -> None:
    page = books.read("accounts?limit=2").json()
    rest = books.read(f"accounts?limit=9&after={page['next_after']}").json()
    assert [one["code"] for one in (*page["items"], *rest["items"])] == [ALICE, BOB, "escrow:purse", BANK]
    assert rest["next_after"] is None
    balance = books.read("balance?account=customer:alice&currency=EUR").json()
    assert (balance["balance_minor"], balance["version"]) == (1_000, 1)
    before = books.read("balance?account=customer:alice&currency=EUR&at=2020-01-01T00:00:00Z").json()
    assert before["balance_minor"] == 0
    statement = books.read("statement?account=customer:alice&currency=EUR").json()
    (line,) = statement["items"]
    assert (line["side"], line["balance_after_minor"], line["other_account"], line["code"]) == ("credit", 1_000, BANK, "import")
    transfer = books.read(f"transfers/{line['transfer_id']}").json()
    assert (transfer["debit"], transfer["credit"], transfer["decision_id"]) == (BANK, ALICE, None)
    assert books.read("trial-balance").json()["items"] == [
        {"currency": "EUR", "debits_posted_minor": 1_500, "credits_posted_minor": 1_500, "difference_minor": 0}
    ]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("balance?account=customer:nobody&currency=EUR", 404, "account_not_found"),
        ("balance?account=customer:alice&currency=eur", 422, "invalid_request"),
        ("balance?account=customer:alice&currency=EUR&at=yesterday", 422, "invalid_time"),
        ("balance?account=customer:alice&currency=EUR&at=2026-01-01T00:00:00", 422, "naive_time"),
        ("statement?account=customer:alice&currency=EUR&after=1&before=2", 422, "two_cursors"),
        ("statement?account=customer:alice&currency=EUR&after=-1", 422, "invalid_request"),
        ("accounts?after=x", 422, "invalid_cursor"),
        ("accounts?prefix=%00", 422, "invalid_request"),
        ("balance?account=%00&currency=EUR", 422, "invalid_request"),
        ("holds?account=%F0%9F%92%B6", 422, "invalid_request"),
        ("accounts?limit=0", 422, "invalid_request"),
        ("transfers/tfr_x", 422, "invalid_id"),
        (f"transfers/tfr_{'0' * 32}", 404, "transfer_not_found"),
    ],
)
def test_bad_questions_are_error_objects(books: Books, path: str, status: int, code: str) -> None:
    answer = books.read(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_each_by_his_role(books: Books) -> None:
    for username in ("ada", "cleo"):
        assert {books.read(path, username).status_code for path in READS} == {403}
        assert books.world.sign_in(username).post("/api/v1/ledger/checks").status_code == 403
    assert {books.read(path).status_code for path in READS} == {200}


def test_a_check_on_demand_finds_a_breach_and_stops_the_account(books: Books) -> None:
    auditor = books.world.sign_in("ira")
    report = auditor.post("/api/v1/ledger/checks").json()
    assert (report["findings"], report["transfers"], report["accounts"]) == ([], 2, 4)
    books.house.damage(
        "ledger.accounts",
        "UPDATE ledger.accounts SET debits_posted_minor = debits_posted_minor + 1 WHERE code = 'customer:bob' AND tenant_id = %s",
    )
    (finding,) = auditor.post("/api/v1/ledger/checks").json()["findings"]
    assert (finding["finding"], finding["subject"], finding["stopped"]) == (
        "balance_differs",
        "customer:bob/EUR",
        ["customer:bob/EUR"],
    )
    assert [one["stopped"] for one in books.read("accounts?prefix=customer:bob").json()["items"]] == [True]


def test_without_the_jobs_process_a_check_says_so(books: Books) -> None:
    books.jobs.stop()
    answer = books.world.sign_in("ira").post("/api/v1/ledger/checks")
    assert (answer.status_code, answer.json()["code"]) == (503, "jobs_down")


def test_the_same_at_a_terminal(books: Books) -> None:
    hold = make_hold(amount_minor=7)
    books.house.must_post(make_request(amount_minor=100), hold)
    terminal = Terminal(books.world, "ledger")
    terminal.serve()
    try:
        status, out, _ = terminal.run("accounts")
        assert (status, "customer:alice/EUR  900 minor units, held 7 out and 0 in, version 3" in out) == (0, True)
        assert json.loads(terminal.run("balance", ALICE, "EUR", "--json")[1])["balance_minor"] == 900
        assert "-100  = 900  customer:bob" in terminal.run("statement", ALICE, "EUR")[1]
        assert f"tfr_{hold.transfer_id.hex}  7 EUR" in terminal.run("holds")[1]
        status, out, _ = terminal.run("trial-balance")
        assert (status, "difference 0" in out) == (0, True)
        status, out, _ = terminal.run("check")
        assert (status, "nothing found" in out) == (0, True)
        books.house.damage(
            "ledger.accounts",
            "UPDATE ledger.accounts SET debits_posted_minor = debits_posted_minor + 1 WHERE code = "
            "'customer:bob' AND tenant_id = %s",
        )
        status, out, _ = terminal.run("check", "--json")
        assert (status, json.loads(out)["findings"][0]["finding"]) == (1, "balance_differs")
        status, _, err = terminal.run("balance", "customer:nobody", "EUR")
        assert (status, "account_not_found" in err) == (2, True)
        status, _, err = terminal.run("archive", "2026-13", "--to", ".", "--as", "gus")
        assert (status, "invalid_month" in err) == (2, True)
    finally:
        terminal.unserve()
