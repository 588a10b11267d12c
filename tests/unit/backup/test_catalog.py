"""Which backup serves a moment, and which folders are none."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import SetupError
from storage.backup.catalog import NoSuchBackup, choose_backup, claim_draft, find_backup, prune, publish, read_catalog
from storage.backup.manifest import MANIFEST_FILE, BackupManifest
from storage.backup.wal_names import Segment

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SYSTEM = "7700000000000000001"


def put_backup(backup_dir: Path, hour: int, *, timeline: int = 1, segment: int, system: str = SYSTEM) -> str:
    """Write a backup's description as `create_backup` does: into a draft that is then named."""
    at = NOON + timedelta(hours=hour)
    backup_id = f"{at:%Y%m%dT%H%M%SZ}-{segment:04x}"
    manifest = BackupManifest(
        backup_id=backup_id, product_version="1", postgres_version="18", system_identifier=system, dbname="d", timeline=timeline,
        start_lsn=f"0/{segment:X}000028", end_lsn=f"0/{segment:X}000120", started_at=at, finished_at=at, schema_revision="1",
        schema_files_sha256="0" * 64, tenant_ids=(), data_bytes=1, server_manifest_sha256="0" * 64, keys_sha256="0" * 64,
        key_files=(),
    )  # fmt: skip
    with claim_draft(backup_dir, backup_id) as draft:
        (draft / MANIFEST_FILE).write_text(manifest.model_dump_json())
        publish(draft, backup_id)
    return backup_id


def put_wal(backup_dir: Path, *segments: tuple[int, int], system: str = SYSTEM) -> Path:
    folder = backup_dir / "wal" / system
    folder.mkdir(parents=True, exist_ok=True)
    for timeline, number in segments:
        (folder / f"{Segment(timeline, number).file_name}.gz").write_bytes(gzip.compress(b""))
    return folder


def test_the_newest_that_had_ended_serves_a_moment(tmp_path: Path) -> None:
    first, second = put_backup(tmp_path, 0, segment=2), put_backup(tmp_path, 2, segment=5)
    put_wal(tmp_path, (1, 5))
    assert choose_backup(tmp_path, None).manifest.backup_id == second
    assert choose_backup(tmp_path, NOON + timedelta(hours=1)).manifest.backup_id == first
    assert choose_backup(tmp_path, NOON).manifest.backup_id == first
    with pytest.raises(NoSuchBackup):
        choose_backup(tmp_path, NOON - timedelta(microseconds=1))


def test_a_backup_of_an_abandoned_line_is_passed_over(tmp_path: Path) -> None:
    first = put_backup(tmp_path, 0, segment=2)
    abandoned = put_backup(tmp_path, 2, segment=9)
    folder = put_wal(tmp_path, (1, 3), (1, 9), (2, 4))
    assert choose_backup(tmp_path, None).manifest.backup_id == abandoned
    (folder / "00000002.history.gz").write_bytes(gzip.compress(b"1\t0/4000100\tbefore a time\n"))
    assert choose_backup(tmp_path, None).manifest.backup_id == first
    third = put_backup(tmp_path, 1, timeline=2, segment=6)
    assert choose_backup(tmp_path, None).manifest.backup_id == third


def test_what_is_unfinished_or_broken_is_never_a_backup(tmp_path: Path) -> None:
    good = put_backup(tmp_path, 0, segment=2)
    (tmp_path / "base" / ".draft-20260302T130000Z-0001").mkdir()
    (tmp_path / "base" / "20260302T140000Z-0001").mkdir()
    broken = tmp_path / "base" / "20260302T150000Z-0001"
    broken.mkdir()
    (broken / MANIFEST_FILE).write_text('{"format": "tellergate-backup/1"}')
    listed = read_catalog(tmp_path)
    assert [backup.manifest.backup_id for backup in listed.backups] == [good]
    assert sorted(one.folder.name for one in listed.unusable) == ["20260302T140000Z-0001", "20260302T150000Z-0001"]
    with pytest.raises(SetupError):
        find_backup(tmp_path, broken.name)
    with pytest.raises(NoSuchBackup, match=good):
        find_backup(tmp_path, "20990101T000000Z-0000")


def test_retention_touches_nothing_of_another_cluster(tmp_path: Path) -> None:
    other = put_backup(tmp_path, -5, segment=2, system="1")
    kept = [put_backup(tmp_path, hour, segment=hour + 3) for hour in range(4)][-2:]
    ours, theirs = put_wal(tmp_path, *((1, number) for number in range(1, 9))), put_wal(tmp_path, (1, 1), system="1")
    pruned = prune(tmp_path, system_identifier=SYSTEM, keep=2)
    assert len(pruned.backup_ids) == 2
    assert sorted(backup.manifest.backup_id for backup in read_catalog(tmp_path).backups) == sorted([other, *kept])
    assert sorted(path.name for path in ours.iterdir()) == [f"{Segment(1, number).file_name}.gz" for number in (5, 6, 7, 8)]
    assert len(list(theirs.iterdir())) == 1
    assert pruned.wal_files == 4
