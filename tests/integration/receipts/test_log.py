"""The whole log out of the real database: exported, anchored, cut, forked, and signed by one key after another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection, sql

from domain.decision import Decision
from gates.holding import recheck_holds
from gates.receipts.anchoring import AnchorMismatch, anchor_to_file, read_last_anchor
from gates.receipts.checkpoint import CheckpointSigner
from gates.receipts.export import export_receipt, render_receipt
from gates.receipts.sequencing import LogTampered, sequence_events
from gates.receipts.signing_key import KeyFiles, ensure_signer, load_signer, publish_verifier_key
from gates.receipts.tiles import EmptyLog, export_log
from ledger.results import ExecutionCode
from ledger.transfer_digest import derive_transfer_id
from ledger.upkeep import expire_holds
from serving.money.log_keeper import LogFiles, LogKeeper
from storage.pools import open_pool
from storage.unit_of_work import unit_of_work
from tests.conftest import Cluster, ConnAs, Database, Tenant
from tests.integration.gates.desk import Desk
from tests.integration.gates.desk_records import ACCOUNT, CLEO, EVE, KIM, token_of
from tests.integration.receipts.terminal import run_command
from tests.unit.receipts.paper_log import load_verifier

_VERIFIER = load_verifier()


@pytest.fixture
def desk(database: Database, tenant: Tenant, conn_as: ConnAs) -> Iterator[Desk]:
    """An open desk of the real gate."""
    gate = open_pool(database.dsn("gate"), name="log-gate", max_size=3)
    executor = open_pool(database.dsn("executor"), name="log-executor", max_size=1)
    yield Desk(tenant, conn_as, gate, executor).open()
    gate.close()
    executor.close()


@pytest.fixture
def files(tmp_path: Path) -> LogFiles:
    """Keys and anchors in a folder."""
    return LogFiles(KeyFiles(seed=tmp_path / "receipts.key", public_keys=tmp_path / "receipts.pub"), tmp_path / "anchors")


@pytest.fixture
def keeper(desk: Desk, files: LogFiles) -> LogKeeper:
    """The keeper of the desk's log."""
    return _open_keeper(desk, files)


def _open_keeper(desk: Desk, files: LogFiles) -> LogKeeper:
    signer = ensure_signer(files.keys.seed)
    publish_verifier_key(signer, files.keys.public_keys)
    return LogKeeper(signer, files, tenant_ids=(desk.tenant.tenant_id,), open_scope=lambda _: desk.scope)


def _act(desk: Desk, amount_minor: int = 1290) -> Decision:
    turn = desk.add_turn([desk.add_charge(amount_minor), desk.add_charge(amount_minor, minutes=1)])
    decision = desk.decide_refund(turn, amount_minor=amount_minor)
    if decision.outcome.value == "review":
        decision = desk.answer(decision, CLEO)
    assert desk.execute(decision).code is ExecutionCode.POSTED
    return decision


def _sequence(desk: Desk, keeper: LogKeeper) -> None:
    while keeper.sequence(desk.tenant.tenant_id, now=desk.now).events:
        pass


def _keys(keeper: LogKeeper) -> list[Any]:
    keys: list[Any] = _VERIFIER.parse_keys(keeper.read_verifier_keys())
    return keys


def _export(desk: Desk, folder: Path) -> Path:
    auditor = desk.conn_as("auditor", desk.tenant)
    export_log(auditor, folder, tenant_id=desk.tenant.tenant_id)
    return folder


def _anchors(files: LogFiles, desk: Desk) -> list[dict[str, Any]]:
    anchors: list[dict[str, Any]] = _VERIFIER.read_anchors((files.anchors / f"{desk.tenant.tenant_id}.jsonl").read_bytes())
    return anchors


def test_an_exported_log_verifies_with_its_anchors(desk: Desk, keeper: LogKeeper, files: LogFiles, tmp_path: Path) -> None:
    with pytest.raises(EmptyLog):
        _export(desk, tmp_path / "empty")
    for amount_minor in (1290, 45_000):
        _act(desk, amount_minor)
        _sequence(desk, keeper)
        assert keeper.anchor(desk.tenant.tenant_id, now=desk.now) is not None
    proved = _VERIFIER.verify_log(_export(desk, tmp_path / "log"), *_keys(keeper), anchors=_anchors(files, desk))
    assert (proved["anchors"], proved["moved_minor"]) == (2, {"EUR": 46_290})
    assert proved["decisions"] == {"allow": 2, "review": 1}


def test_a_head_is_anchored_once_and_again_when_it_moves(desk: Desk, keeper: LogKeeper, files: LogFiles) -> None:
    tenant_id = desk.tenant.tenant_id
    assert keeper.anchor(tenant_id, now=desk.now) is None
    _act(desk)
    _sequence(desk, keeper)
    first = keeper.anchor(tenant_id, now=desk.now)
    assert keeper.anchor(tenant_id, now=desk.now + timedelta(seconds=10)) == first
    assert len(_anchors(files, desk)) == 1
    # A crash in the middle of a line: the line was never acknowledged and is written over.
    path = files.anchors / f"{tenant_id}.jsonl"
    with path.open("ab") as stream:
        stream.write(b'{"anchored_at":"2026')
    _act(desk, 2490)
    _sequence(desk, keeper)
    second = keeper.anchor(tenant_id, now=desk.now)
    assert first is not None
    assert second is not None
    assert second.tree_size > first.tree_size
    assert [anchor["tree_size"] for anchor in _anchors(files, desk)] == [first.tree_size, second.tree_size]
    assert desk.role("gate").execute("SELECT count(*) FROM gate.anchors").fetchone() == (2,)


@contextmanager
def _guards_off(admin: Connection[Any], *tables: str) -> Iterator[None]:
    """Do what only the owner of the server can, and take it back: the tables belong to every test."""
    with admin.transaction():
        for table in tables:
            admin.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER append_only").format(sql.SQL(table)))
        yield
        for table in tables:
            admin.execute(sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER append_only").format(sql.SQL(table)))


def _cut(admin: Connection[Any], desk: Desk, size: int) -> None:
    """Take the tail of the log away."""
    with _guards_off(admin, "gate.checkpoints", "core.event_positions"):
        for statement in (
            "DELETE FROM gate.checkpoints WHERE tenant_id = %s AND tree_size > %s",
            "DELETE FROM core.event_positions WHERE tenant_id = %s AND position >= %s",
        ):
            admin.execute(statement, [desk.tenant.tenant_id, size])


def test_a_cut_tail_is_noticed_by_the_service_and_by_the_verifier(
    desk: Desk, keeper: LogKeeper, files: LogFiles, admin_conn: Connection[Any], tmp_path: Path
) -> None:
    _act(desk)
    _sequence(desk, keeper)
    row = desk.role("gate").execute("SELECT max(tree_size) FROM gate.checkpoints").fetchone()
    assert row is not None
    size = row[0]
    _act(desk, 2490)
    _sequence(desk, keeper)
    keeper.anchor(desk.tenant.tenant_id, now=desk.now)
    _cut(admin_conn, desk, size)
    with pytest.raises(AnchorMismatch, match="the log was cut"):
        keeper.anchor(desk.tenant.tenant_id, now=desk.now)
    folder = _export(desk, tmp_path / "cut")
    assert _VERIFIER.verify_log(folder, *_keys(keeper))["verified"] is True
    with pytest.raises(_VERIFIER.Refused, match="the log was cut"):
        _VERIFIER.verify_log(folder, *_keys(keeper), anchors=_anchors(files, desk))


def test_a_fork_is_noticed_before_it_is_anchored(
    desk: Desk, keeper: LogKeeper, files: LogFiles, admin_conn: Connection[Any]
) -> None:
    _act(desk)
    _sequence(desk, keeper)
    keeper.anchor(desk.tenant.tenant_id, now=desk.now)
    with _guards_off(admin_conn, "core.event_positions", "gate.log_nodes"):
        for statement in (
            "UPDATE core.event_positions SET leaf_hash = sha256('other') WHERE tenant_id = %s",
            "UPDATE gate.log_nodes SET hash = sha256('other') WHERE tenant_id = %s",
        ):
            admin_conn.execute(statement, [desk.tenant.tenant_id])
    before = (files.anchors / f"{desk.tenant.tenant_id}.jsonl").read_bytes()
    with pytest.raises(AnchorMismatch, match="the log forked"):
        keeper.anchor(desk.tenant.tenant_id, now=desk.now)
    assert (files.anchors / f"{desk.tenant.tenant_id}.jsonl").read_bytes() == before


def test_an_edited_record_stops_the_export(desk: Desk, keeper: LogKeeper, admin_conn: Connection[Any], tmp_path: Path) -> None:
    _act(desk)
    _sequence(desk, keeper)
    with _guards_off(admin_conn, "core.events"):
        admin_conn.execute("UPDATE core.events SET source = 'x' WHERE tenant_id = %s", [desk.tenant.tenant_id])
    with pytest.raises(LogTampered, match="differs from the leaf"):
        _export(desk, tmp_path / "log")
    assert list(tmp_path.glob("*log*")) == []


# Keys ------------------------------------------------------------------------------------------------------------------------


def _rotate(desk: Desk, keeper: LogKeeper) -> Any:
    return keeper.rotate(desk.tenant.tenant_id, token_of(KIM, desk.tenant.tenant_id), now=desk.now)


def test_a_new_key_signs_on_and_old_receipts_still_verify(desk: Desk, keeper: LogKeeper, files: LogFiles, tmp_path: Path) -> None:
    gate = desk.role("gate")
    decision = _act(desk)
    _sequence(desk, keeper)
    (old_key,) = _keys(keeper)
    old_receipt = export_receipt(gate, decision.decision_id)
    assert old_receipt is not None
    rotated = _rotate(desk, keeper)
    assert (rotated.retired_key_id, rotated.key_id) == (old_key.key_id.hex(), load_signer(files.keys.seed).key_id.hex())
    assert not files.keys.next_seed.exists()
    keys = _keys(keeper)
    assert keys[0] == old_key
    assert len(keys) == 2
    # At the change both sign, so that a holder of either key goes on.
    at_change = export_receipt(gate, decision.decision_id)
    assert at_change is not None
    for known in ((old_key,), (keys[1],), keys):
        assert _VERIFIER.verify(render_receipt(at_change), *known)["verified"] is True
    later = _act(desk, 2490)
    _sequence(desk, keeper)
    new_receipt = export_receipt(gate, later.decision_id)
    assert new_receipt is not None
    assert _VERIFIER.verify(render_receipt(new_receipt), *keys)["verified"] is True
    with pytest.raises(_VERIFIER.Refused, match="not signed by the key"):
        _VERIFIER.verify(render_receipt(new_receipt), old_key)
    assert _VERIFIER.verify(render_receipt(old_receipt), *keys)["verified"] is True
    proved = _VERIFIER.verify_log(_export(desk, tmp_path / "log"), *keys)
    assert proved["log"]["size"] > rotated.tree_size


def test_only_an_administrator_changes_the_key(desk: Desk, keeper: LogKeeper, files: LogFiles) -> None:
    from gates.people import NotPermitted, NotSignedIn

    _act(desk)
    _sequence(desk, keeper)
    for token, error in ((token_of(CLEO, desk.tenant.tenant_id), NotPermitted), ("tgs.nobody", NotSignedIn)):
        with pytest.raises(error):
            keeper.rotate(desk.tenant.tenant_id, token, now=desk.now)
    assert not files.keys.next_seed.exists()


def test_a_change_of_keys_that_a_crash_cut_off_is_finished_or_forgotten(desk: Desk, keeper: LogKeeper, files: LogFiles) -> None:
    _act(desk)
    _sequence(desk, keeper)
    old = load_signer(files.keys.seed)
    # Before anything was committed: the next seed is thrown away.
    ensure_signer(files.keys.next_seed)
    _sequence(desk, _open_keeper(desk, files))
    assert not files.keys.next_seed.exists()
    assert load_signer(files.keys.seed).key_id == old.key_id
    # After the commit, before the files: the next seed takes over before anything is signed.
    from gates.receipts.rotation import rotate_key

    following = ensure_signer(files.keys.next_seed)
    with unit_of_work(desk.scope.pool, desk.scope.context) as connection:
        rotate_key(connection, tenant_id=desk.tenant.tenant_id, retired=old, following=following, operator_id=KIM, now=desk.now)
    _act(desk, 2490)
    reopened = _open_keeper(desk, files)
    _sequence(desk, reopened)
    assert load_signer(files.keys.seed).key_id == following.key_id
    assert [key.key_id for key in _keys(reopened)] == [old.key_id, following.key_id]
    row = desk.role("gate").execute("SELECT note FROM gate.checkpoints ORDER BY tree_size DESC LIMIT 1").fetchone()
    assert row is not None
    assert _VERIFIER.check_checkpoint(row[0], *_keys(reopened)).signed_by == (following.key_id,)


def test_the_log_says_who_changed_the_key(desk: Desk, keeper: LogKeeper) -> None:
    _act(desk)
    _rotate(desk, keeper)
    row = desk.role("gate").execute("SELECT data FROM core.events WHERE event_type = 'gate.key_rotated'").fetchone()
    assert row is not None
    assert row[0]["operator_id"] == KIM
    lines = keeper.read_verifier_keys().splitlines()
    assert [row[0]["retired_key"], row[0]["verifier_key"]] == lines


# From a terminal -------------------------------------------------------------------------------------------------------------


def test_the_commands(
    desk: Desk, keeper: LogKeeper, database: Database, cluster: Cluster, files: LogFiles, tmp_path: Path
) -> None:
    decision = _act(desk)
    _sequence(desk, keeper)
    keeper.anchor(desk.tenant.tenant_id, now=desk.now)
    folder, receipt = tmp_path / "log", tmp_path / "receipt.json"
    exported = run_command(desk, database, cluster, "receipts", "export", str(folder), "--json")
    assert exported.returncode == 0, exported.stdout + exported.stderr
    assert run_command(desk, database, cluster, "receipts", "export", str(folder)).returncode == 2
    anchors = str(files.anchors / f"{desk.tenant.tenant_id}.jsonl")
    key = str(files.keys.public_keys)
    verified = run_command(desk, database, cluster, "verify", "--log", str(folder), "--key", key, "--anchor", anchors, "--json")
    assert json.loads(verified.stdout)["log"]["size"] == json.loads(exported.stdout)["records"]
    assert (
        run_command(desk, database, cluster, "receipts", "export", str(receipt), "--decision", decision.decision_id).returncode
        == 0
    )
    assert run_command(desk, database, cluster, "verify", str(receipt), "--key", key).returncode == 0
    assert run_command(desk, database, cluster, "verify", "--key", key).returncode == 2


def test_anchoring_needs_no_signer(desk: Desk, keeper: LogKeeper, tmp_path: Path) -> None:
    _act(desk)
    signer: CheckpointSigner = ensure_signer(tmp_path / "receipts.key")
    sequence_events(desk.gate_pool, desk.scope.context, signer, now=desk.now)
    with unit_of_work(desk.scope.pool, desk.scope.context) as connection:
        anchored = anchor_to_file(connection, tmp_path / "elsewhere.jsonl", now=desk.now)
    assert anchored is not None
    assert read_last_anchor(tmp_path / "elsewhere.jsonl") == anchored.head


def test_a_log_with_a_hold_that_ran_out_and_one_that_was_released_verifies(desk: Desk, keeper: LogKeeper, tmp_path: Path) -> None:
    jobs = desk.role("jobs")

    def hold(amount_minor: int) -> Decision:
        jobs.execute("UPDATE core.accounts SET status = 'blocked' WHERE account_id = %s", [ACCOUNT])
        turn = desk.add_turn([desk.add_charge(amount_minor), desk.add_charge(amount_minor, minutes=1)])
        held = desk.decide_refund(turn, amount_minor=amount_minor)
        assert desk.execute(held).code is ExecutionCode.HELD
        jobs.execute("UPDATE core.accounts SET status = 'active' WHERE account_id = %s", [ACCOUNT])
        return held

    released = hold(1300)
    turn = desk.add_turn([], operator_id=EVE, grants={"H1": f"tfr_{derive_transfer_id(released.decision_id).hex}"})
    desk.say(turn, ("handle", "H1"))
    asked = desk.decide_act(turn, "hold_release", hold="H1", reason_code="investigation_done")
    allowed = desk.answer(asked, CLEO)
    assert desk.execute(allowed).code is ExecutionCode.POSTED, desk.execute(allowed)
    held = hold(1290)
    later = desk.now + timedelta(hours=30)
    with jobs.transaction():
        expire_holds(jobs, now=later, limit=10)
    recheck_holds(desk.scope, desk.rules, now=later, limit=10)
    _sequence(desk, keeper)
    proved = _VERIFIER.verify_log(_export(desk, tmp_path / "log"), *_keys(keeper))
    assert (proved["undecided_transfers"], proved["moved_minor"]) == (1, {})
    assert proved["effects"] == 3
    for decision in (held, released, allowed):
        receipt = export_receipt(desk.role("gate"), decision.decision_id)
        assert receipt is not None
        assert _VERIFIER.verify(render_receipt(receipt), *_keys(keeper))["posting"] is None
