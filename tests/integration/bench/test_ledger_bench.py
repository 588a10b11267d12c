"""A small run of the ledger's bench on a server of its own: every contender scores, and a broken ledger does not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import bench.ledger
from bench.peer import tpcb
from bench.peer.server import BenchServer, start_server
from bench.posting import bulk
from bench.posting.bulk import run_bulk
from bench.posting.callers import run_callers
from bench.posting.profile import render_profile, take_profile
from bench.posting.single import run_single
from bench.posting.tenant import TENANT, BenchTenant, BooksWrong
from bench.posting.workload import Mode, account_code
from tests.unit.bench.test_ledger_figures import NAMES


@pytest.fixture(scope="module")
def server() -> Iterator[BenchServer]:
    with start_server() as running:
        yield running


@pytest.fixture(scope="module")
def tenant(server: BenchServer) -> BenchTenant:
    made = BenchTenant(server)
    made.set_up()
    return made


def test_the_server_is_durable(server: BenchServer) -> None:
    settings = server.read_settings()
    assert (settings["fsync"], settings["synchronous_commit"], settings["full_page_writes"]) == ("on", "on", "on")


@pytest.mark.parametrize("mode", ["random", "hot"])
def test_one_a_call_is_accepted_every_time(tenant: BenchTenant, mode: Mode) -> None:
    assert run_single(tenant, mode, seconds=1, per_s_at_most=12_000).count > 0


@pytest.mark.parametrize("mode", ["random", "hot", "reject"])
def test_bulk(tenant: BenchTenant, mode: Mode) -> None:
    assert run_bulk(tenant, mode, calls=1).count == 8_000


def test_callers_wait_for_their_own_answers(tenant: BenchTenant) -> None:
    run = run_callers(tenant, 16, seconds=1, per_s_at_most=4_000)
    assert run.count > 0
    assert run.p50_ms is not None
    assert run.p99_ms is not None


def test_too_few_authorizations_do_not_score(tenant: BenchTenant) -> None:
    with pytest.raises(BooksWrong, match="calls were made or accepted"):
        run_single(tenant, "random", seconds=1, per_s_at_most=80)


def test_an_answer_that_was_not_expected_does_not_score(tenant: BenchTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "REJECT_EVERY", 50)
    with pytest.raises(BooksWrong, match="to be accepted"):
        run_bulk(tenant, "reject", calls=1)


def test_peers_run_on_the_same_server(server: BenchServer) -> None:
    tpcb.set_up(server, scale=1)
    assert tpcb.run(server, seconds=1).count > 0


def test_the_profile_says_where_the_time_goes(tenant: BenchTenant) -> None:
    profile = take_profile(tenant)
    for lines in (profile.one_call, profile.bulk_row):
        assert lines[0].us > 0
    text = render_profile(profile)
    assert "core.current_tenant" in text
    assert "three unique indexes" in text


def test_books_that_are_out_do_not_score(tenant: BenchTenant) -> None:
    tenant.check_books()
    with tenant.connect_admin() as admin:
        admin.execute(
            "UPDATE ledger.accounts SET credits_posted_minor = credits_posted_minor + 1 WHERE tenant_id = %s AND code = %s",
            [TENANT, account_code(7)],
        )
    part = tenant.take_slice("random", clients=1, count=1)
    with pytest.raises(BooksWrong, match="the trial balance is out by 1"):
        tenant.check_reading(part, accepted=0)
    with pytest.raises(BooksWrong, match="the ledger's check"):
        tenant.check_books()


def test_the_whole_command(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--json",
        "--rounds",
        "2",
        "--seconds",
        "1",
        "--calls",
        "1",
        "--scale",
        "1",
        "--only",
        "tpcb,bulk_random,bulk_reject",
    ]
    assert bench.ledger.main([*arguments, "--skip-crash"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert [figure["name"] for figure in body["figures"]] == [
        *NAMES,
        "bytes_per_transfer",
        "ledger_check_s_1m",
        "kill9_rounds",
        "kill9_violations",
    ]
    values = {figure["name"]: figure["value"] for figure in body["figures"]}
    assert values["bulk8000_vs_tpcb"] > 0
    assert 100 < values["bytes_per_transfer"] < 1_000
    assert values["kill9_rounds"] is None
    assert [peer["name"] for peer in body["peers"]] == ["tpcb"]
    assert {row["name"] for row in body["readings"]} == {"tpcb", "bulk_random", "bulk_reject"}
