"""Everything comes back: rows, keys, receipts; up to the moment asked for and not one transaction further."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from storage.events import list_events_of
from storage.tenancy import read_context_key
from tests.integration.backup.installation import ROOT, TENANT, Installation, Writer


def installed_at(folder: Path, like: Installation) -> Installation:
    """Return the restored installation with an archive of its own, as `./tellergate up` would run it there."""
    return Installation(var_dir=folder, backup_dir=folder / "backup" if folder != like.var_dir else like.backup_dir)


def verify_offline(receipt: Path, key: Path) -> int:
    command = [sys.executable, str(ROOT / "gates" / "standalone" / "verify_receipt.py"), str(receipt), "--key", str(key)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_a_lost_disk_under_load_loses_nothing_that_was_archived(fresh: Installation, own_folder: Path) -> None:
    fresh.back_up()
    with Writer(fresh, first=1) as writer:
        # A base backup in the midst of the load, as the running service makes it.
        from storage.backup.create import BackupOrder, create_backup

        order = BackupOrder(
            backup_dir=fresh.backup_dir, var_dir=fresh.var_dir, key_files=("receipts.pub",), bin_dir=fresh.server.files.bin_dir,
            address=fresh.server.address.with_dbname("tellergate"), superuser="postgres", product_version="test", keep=5,
            password=fresh.server.read_superuser_password(), recovery_key=fresh.key_file.read_bytes().strip(),
        )  # fmt: skip
        in_the_midst = create_backup(order)
        assert in_the_midst.archived
        archived = list(writer.acknowledged)
        fresh.archive_all()
        fresh.kill()
    fresh.lose_disk()
    into = own_folder / "again"
    report = fresh.restore("latest", into)
    assert report["backup_id"] == in_the_midst.backup.manifest.backup_id
    assert report["right"]
    restored = installed_at(into, fresh)
    restored.server.start()
    try:
        numbers = restored.numbers()
    finally:
        restored.server.stop()
    assert len(archived) > 20
    assert set(archived) <= set(numbers)
    # In the order of their commits and without a hole: a prefix of what was written.
    assert numbers == list(range(1, len(numbers) + 1))
    assert set(numbers) <= {*writer.acknowledged, len(writer.acknowledged) + 1}


def test_to_a_moment_between_two_transactions(fresh: Installation, own_folder: Path) -> None:
    fresh.back_up()
    fresh.insert(1, 2, 3)
    between = fresh.now()
    fresh.insert(4, 5)
    fresh.archive_all()
    fresh.insert(6)
    fresh.archive_all()
    into = own_folder / "again"
    report = fresh.restore(between.isoformat(), into)
    assert report["last_commit_at"] < between.isoformat()
    restored = installed_at(into, fresh)
    restored.server.start()
    try:
        assert restored.numbers() == [1, 2, 3]
        restored.insert(4)
    finally:
        restored.server.stop()


def test_a_commit_at_the_very_moment_is_in_and_a_microsecond_before_it_is_not(fresh: Installation, own_folder: Path) -> None:
    from datetime import datetime

    fresh.back_up()
    fresh.insert(1)
    fresh.insert(2)
    fresh.archive_all()
    moment = datetime.fromisoformat(fresh.restore("latest", own_folder / "all")["last_commit_at"])
    # The server asks for a later commit before it believes that a moment was reached.
    fresh.insert(3)
    fresh.archive_all()
    for name, to, expected in (("at", moment, [1, 2]), ("before", moment - timedelta(microseconds=1), [1])):
        fresh.restore(to.isoformat(), own_folder / name)
        restored = installed_at(own_folder / name, fresh)
        restored.server.start()
        try:
            assert restored.numbers() == expected
        finally:
            restored.server.stop()


def test_keys_come_back_and_receipts_verify_on_both_sides(fresh: Installation, own_folder: Path) -> None:
    with fresh.desk() as desk:
        desk.open()
        token = fresh.seal_value(desk, "Mira Invented")
        before = fresh.write_receipt(desk, own_folder / "before.json")
        fresh.back_up()
    with fresh.desk() as desk:
        later = fresh.write_receipt(desk, own_folder / "later.json")
    public_key = own_folder / "auditor.pub"
    public_key.write_bytes((fresh.var_dir / "receipts.pub").read_bytes())
    context_key = read_context_key(fresh.secrets_dir)
    fresh.archive_all()
    fresh.kill()
    fresh.lose_disk()
    into = own_folder / "again"
    report = fresh.restore("latest", into)
    levels = {finding["check"]: finding["level"] for finding in report["findings"]}
    assert levels[f"vault of {TENANT}"] == levels[f"receipts of {TENANT}"] == levels[f"log of {TENANT}"] == "ok"
    assert "sealed values open" in str(report["findings"])
    (told,) = report["tenants"]
    assert told["checkpoint"].startswith(f"tellergate/{TENANT}\n")
    assert {path.name: path.stat().st_mode & 0o777 for path in (into / "secrets").iterdir() if path.stat().st_mode & 0o077} == {}
    assert (into / "secrets").stat().st_mode & 0o777 == 0o700
    assert (into / "receipts.pub").read_bytes() == public_key.read_bytes()

    restored = installed_at(into, fresh)
    assert read_context_key(restored.secrets_dir) == context_key
    restored.server.start()
    try:
        with restored.desk() as desk:
            after = restored.write_receipt(desk, own_folder / "after.json")
            (event,) = list_events_of(desk.role("gate"), report["backup_id"])
            assert event.event_type == "recovery.restored"
            assert event.data["recovered_lsn"] == report["recovered_lsn"]
            assert f"\n{event.data['last_checkpoint']['size']}\n" in told["checkpoint"]
            # The restore's own record stands at the first place after the break.
            row = (
                desk.role("gate")
                .execute("SELECT position FROM core.event_positions WHERE event_id = %s", [event.event_id.removeprefix("evt_")])
                .fetchone()
            )
            assert row == (event.data["last_checkpoint"]["size"],)
            assert restored.seal_value(desk, "Mira Invented") == token
    finally:
        restored.server.stop()
    assert [verify_offline(receipt, public_key) for receipt in (before, later, after)] == [0, 0, 0]


def test_replacing_in_place_loses_nothing_and_the_next_restore_follows_the_new_line(fresh: Installation) -> None:
    fresh.back_up()
    fresh.insert(1)
    between = fresh.now()
    fresh.insert(2)
    fresh.archive_all()
    # Committed and not archived: only the data directory has it.
    fresh.insert(3)
    fresh.kill()
    report = fresh.restore("latest", fresh.var_dir, "--replace")
    assert report["loose_wal_files"] >= 1
    assert Path(report["aside"]).joinpath("pg", "data", "PG_VERSION").exists()
    fresh.server.start()
    assert fresh.numbers() == [1, 2, 3]

    # Now back to before 2, go on with 4, and lose the disk: the line that was left must not come back.
    fresh.archive_all()
    fresh.server.stop()
    fresh.restore(between.isoformat(), fresh.var_dir, "--replace")
    fresh.server.start()
    assert fresh.numbers() == [1]
    fresh.insert(4)
    fresh.archive_all()
    fresh.kill()
    fresh.lose_disk()
    report = fresh.restore("latest", fresh.var_dir)
    assert report["timeline"] == 4
    fresh.server.start()
    assert fresh.numbers() == [1, 4]


def test_verify_says_right_and_leaves_nothing(installation: Installation) -> None:
    made = installation.back_up()
    installation.insert(101)
    installation.archive_all()
    before = sorted(path.name for path in installation.var_dir.iterdir())
    report = installation.run("backup", "verify", "--recovery-key", str(installation.key_file))
    assert report["backup_id"] == made["backup_id"]
    assert report["right"]
    assert report["wal_files"] >= 1
    assert sorted(path.name for path in installation.var_dir.iterdir()) == before
    listed = installation.run("backup", "list")
    assert made["backup_id"] in [backup["backup_id"] for backup in listed["backups"]]
    assert listed["faults"] == []
    assert all(backup["bytes"] > 1_000_000 for backup in listed["backups"])


def test_retention_keeps_what_the_kept_ones_need(fresh: Installation, own_folder: Path) -> None:
    made = []
    for number in range(4):
        made.append(fresh.back_up("--keep", "2")["backup_id"])
        fresh.insert(number)
        fresh.archive_all()
    listed = fresh.run("backup", "list")
    assert [backup["backup_id"] for backup in listed["backups"]] == made[-2:]
    assert all("gap" not in backup["reaches"] for backup in listed["backups"])
    fresh.restore("latest", own_folder / "oldest", "--from", made[-2])
    restored = installed_at(own_folder / "oldest", fresh)
    restored.server.start()
    try:
        assert restored.numbers() == [0, 1, 2, 3]
    finally:
        restored.server.stop()


def test_a_key_that_is_younger_than_the_backup_is_missed_and_taken_over_where_it_survived(
    fresh: Installation, own_folder: Path
) -> None:
    fresh.back_up()
    with fresh.desk() as desk:
        desk.open()
        fresh.seal_value(desk, "Mira Invented")
    fresh.archive_all()
    fresh.server.stop()
    listed = fresh.run("backup", "list", expect=1)
    assert f"vault_{TENANT}.v1.key" in str(listed["faults"])
    into = own_folder / "again"
    error = fresh.restore("latest", into, expect=1)["error"]
    assert error["code"] == "restored_checks_failed"
    assert f"vault of {TENANT}" in error["detail"]
    assert not into.exists()
    looked_at = fresh.restore("latest", into, "--despite-findings", expect=1)
    assert looked_at["right"] is False
    assert (into / "pg" / "data" / "PG_VERSION").exists()
    assert fresh.restore("latest", fresh.var_dir, "--replace")["right"]


def test_records_that_were_changed_behind_the_log_are_found(fresh: Installation, own_folder: Path) -> None:
    with fresh.desk() as desk:
        desk.open()
        fresh.write_receipt(desk, own_folder / "before.json")
    with fresh.admin() as admin:
        admin.execute("ALTER TABLE core.events DISABLE TRIGGER append_only")
        admin.execute("UPDATE core.events SET source = 'nobody' WHERE event_type = 'gate.decided'")
        admin.execute("ALTER TABLE core.events ENABLE ALWAYS TRIGGER append_only")
    fresh.back_up()
    error = fresh.restore("backup", own_folder / "again", expect=1)["error"]
    assert error["code"] == "restored_checks_failed"
    assert f"receipts of {TENANT}" in error["detail"]
