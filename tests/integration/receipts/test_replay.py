"""Replay and backtest of what the real gate stored, with the rights of an auditor and no way to anything else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg import Connection, sql

from domain.decision import Outcome
from gates.holding import recheck_holds
from gates.policy.artifacts import install_artifacts
from gates.policy.bundle import load_bundle_directory, seal_bundle_directory
from gates.replay.drift import measure_drift
from gates.replay.reading import Window, count_decisions, iter_decisions, load_bundles, load_models
from gates.replay.replay import ReplayReport, replay_decisions
from gates.submission import expire_allow
from storage.pools import open_pool
from storage.unit_of_work import unit_of_work
from tests.conftest import Cluster, ConnAs, Database, Tenant
from tests.integration.gates.desk import STARTER, Desk, Turn
from tests.integration.gates.desk_records import ACCOUNT, CLEO
from tests.integration.receipts.terminal import ROOT, run_command


@pytest.fixture
def desk(database: Database, tenant: Tenant, conn_as: ConnAs) -> Iterator[Desk]:
    """An open desk of the real gate."""
    gate = open_pool(database.dsn("gate"), name="replay-gate", max_size=3)
    executor = open_pool(database.dsn("executor"), name="replay-executor", max_size=1)
    opened = Desk(tenant, conn_as, gate, executor).open()
    with unit_of_work(gate, tenant.context("gate")) as connection:
        install_artifacts(
            connection,
            bundle=load_bundle_directory(STARTER),
            scorecard=opened.rules.scorecard,
            tenant_id=tenant.tenant_id,
            now=opened.now,
            moved_by="release",
        )
    yield opened
    gate.close()
    executor.close()


def _work(desk: Desk) -> int:
    """Let every way a proposal can go happen once; return how many decisions there are."""

    def turn(amount_minor: int) -> Turn:
        return desk.add_turn([desk.add_charge(amount_minor), desk.add_charge(amount_minor, minutes=1)])

    executed = desk.decide_refund(turn(1290))
    desk.execute(executed)
    approved = desk.decide_refund(turn(45_000), amount_minor=45_000)
    desk.answer(approved, CLEO)
    refused = desk.decide_refund(turn(46_000), amount_minor=46_000)
    desk.answer(refused, CLEO, "refuse")
    expired = desk.decide_refund(turn(1300), amount_minor=1300)
    if expired.outcome is Outcome.ALLOW:
        expire_allow(desk.scope, desk.rules, expired.decision_id, now=desk.now + timedelta(seconds=60))
    desk.decide(desk.propose(turn(1310), arguments={"amount_minor": "1e9"}))
    desk.decide(desk.propose(turn(1320), kind="give_everything"))
    desk.role("jobs").execute("UPDATE core.accounts SET status = 'blocked' WHERE account_id = %s", [ACCOUNT])
    held = desk.decide_refund(turn(1330), amount_minor=1330)
    desk.execute(held)
    desk.role("jobs").execute("UPDATE core.accounts SET status = 'active' WHERE account_id = %s", [ACCOUNT])
    recheck_holds(desk.scope, desk.rules, now=desk.now + timedelta(seconds=30), limit=5)
    row = desk.role("gate").execute("SELECT count(*) FROM gate.decisions").fetchone()
    assert row is not None
    return int(row[0])


def _replay(auditor: Connection[object]) -> ReplayReport:
    bundles, broken = load_bundles(auditor)
    assert broken == {}
    with auditor.transaction():
        return replay_decisions(iter_decisions(auditor, Window()), bundles, load_models(auditor))


def test_what_the_gate_stored_is_replayed_byte_for_byte(desk: Desk) -> None:
    count = _work(desk)
    auditor = desk.conn_as("auditor", desk.tenant)
    report = _replay(auditor)
    assert report.differences == ()
    assert report.is_identical
    assert (report.decisions, report.rescored) == (count, count)
    assert count >= 9
    assert _replay(auditor).digest == report.digest


_CHANGES = {
    "facts": "facts || '{\"customer.age_days\": 901}'",
    "reasons": "'[]'::JSONB",
    "operator_id": "'opr_ben'",
    "score": "score + 1",
    "policy_version": "'starter@9'",
}


@pytest.mark.parametrize("column", list(_CHANGES))
def test_a_row_that_the_owner_of_the_server_changed_is_named(desk: Desk, admin_conn: Connection[object], column: str) -> None:
    turn = desk.add_turn([desk.add_charge(1290), desk.add_charge(1290, minutes=1)])
    decision = desk.decide_refund(turn)
    change = sql.SQL("UPDATE gate.decisions SET {} = {} WHERE tenant_id = %s").format(
        sql.Identifier(column),
        sql.SQL(_CHANGES[column]),
    )
    admin_conn.execute("ALTER TABLE gate.decisions DISABLE TRIGGER append_only")
    try:
        admin_conn.execute(change, [desk.tenant.tenant_id])
    finally:
        admin_conn.execute("ALTER TABLE gate.decisions ENABLE ALWAYS TRIGGER append_only")
    report = _replay(desk.conn_as("auditor", desk.tenant))
    assert not report.is_identical
    named = {difference.field for difference in report.differences}
    assert {difference.decision_id for difference in report.differences} == {decision.decision_id}
    assert named & {column, "facts_digest"}


def test_a_byte_of_the_stored_bundle_is_named(desk: Desk, admin_conn: Connection[object]) -> None:
    _work(desk)
    admin_conn.execute("ALTER TABLE gate.policy_bundles DISABLE TRIGGER append_only")
    try:
        admin_conn.execute(
            "UPDATE gate.policy_bundles SET content = REPLACE(content::TEXT, '500000', '500001')::JSONB WHERE tenant_id = %s",
            [desk.tenant.tenant_id],
        )
    finally:
        admin_conn.execute("ALTER TABLE gate.policy_bundles ENABLE ALWAYS TRIGGER append_only")
    bundles, broken = load_bundles(desk.conn_as("auditor", desk.tenant))
    assert bundles == {}
    assert all("hash" in why for why in broken.values())
    assert len(broken) == 1


def test_a_window_is_half_open_and_a_limit_takes_the_newest(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge(1290), desk.add_charge(1290, minutes=1)])
    first = desk.decide_refund(turn)
    second = desk.decide(desk.propose(turn), now=desk.now + timedelta(seconds=5))
    auditor = desk.conn_as("auditor", desk.tenant)

    def ids(window: Window) -> list[str]:
        with auditor.transaction():
            found = [one.decision_id for one in iter_decisions(auditor, window)]
        assert count_decisions(auditor, window) == len(found)
        return found

    assert ids(Window()) == [first.decision_id, second.decision_id]
    assert ids(Window(since=second.decided_at)) == [second.decision_id]
    assert ids(Window(until=second.decided_at)) == [first.decision_id]
    assert ids(Window(limit=1)) == [second.decision_id]


def _make_stricter(folder: Path) -> Path:
    shutil.copytree(STARTER, folder)
    path = folder / "permits.cedar"
    text = path.read_text(encoding="utf-8")
    assert "context.proposed.amount_minor > 500000" in text
    path.write_text(
        text.replace("context.proposed.amount_minor > 500000", "context.proposed.amount_minor > 1000"), encoding="utf-8"
    )
    seal_bundle_directory(folder)
    return folder


def test_drift_is_measured_in_the_gates_own_transaction(desk: Desk, tmp_path: Path) -> None:
    _work(desk)
    gate = desk.role("gate")
    with gate.transaction():
        same = measure_drift(gate, load_bundle_directory(STARTER), now=desk.now)
        stricter = measure_drift(gate, load_bundle_directory(_make_stricter(tmp_path / "stricter")), now=desk.now)
    assert (same.permille, same.undecidable) == (0, 0)
    assert stricter.permille > 500
    assert stricter.decisions == same.decisions > 0


def test_the_commands(desk: Desk, database: Database, cluster: Cluster, tmp_path: Path) -> None:
    count = _work(desk)
    replayed = run_command(desk, database, cluster, "replay", "--json")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    answer = json.loads(replayed.stdout)
    assert (answer["is_identical"], answer["decisions"], answer["differences"]) == (True, count, [])
    tried = run_command(desk, database, cluster, "backtest", "--policy", str(_make_stricter(tmp_path / "stricter")), "--json")
    assert tried.returncode == 0, tried.stdout + tried.stderr
    answer = json.loads(tried.stdout)
    assert answer["changed"] > 0
    assert any(change["after"] == "deny" and change["exposure_minor"]["EUR"] > 0 for change in answer["changes"])
    printed = run_command(desk, database, cluster, "backtest", "--policy", str(tmp_path / "stricter"), "--from", "2026-03-02")
    assert "hard_cap" in printed.stdout
    assert run_command(desk, database, cluster, "replay", "--from", "yesterday").returncode == 2
    assert run_command(desk, database, cluster, "backtest", "--policy", str(tmp_path / "none")).returncode in {1, 2}


_ATTEMPTS = {
    "a connection": "import socket; socket.create_connection(('127.0.0.1', 9))",
    "a name": "import socket; socket.getaddrinfo('localhost', 80)",
    "a socket file": "import socket; socket.socket(socket.AF_UNIX).connect('/nowhere')",
    "a process": "import subprocess; subprocess.run(['true'])",
    "a secret": "from pathlib import Path; Path(SECRETS, 'context.key').read_bytes()",
}


@pytest.mark.parametrize("attempt", list(_ATTEMPTS))
def test_the_process_that_reads_history_reaches_nothing_else(attempt: str, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from serving.cli.auditing import DoorShut, shut_doors
SECRETS = {str(tmp_path)!r}
Path(SECRETS, 'context.key').write_bytes(b'x')
shut_doors(Path(SECRETS))
try:
    {_ATTEMPTS[attempt]}
except DoorShut:
    print('shut')
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "shut", done.stderr
