"""The two commands that the server runs, as it runs them: through a shell, in folders with awkward names."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from storage.backup.archiving import archiving_settings, fetch_command

NAME = "000000010000000000000007"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / 'it\'s a 100% "folder" $HOME `x`'
    made.mkdir()
    return made


def run(command: str, source: Path, name: str = NAME) -> subprocess.CompletedProcess[str]:
    """Fill in what the server fills in. Source: PostgreSQL replace_percent_placeholders()."""
    words = {"%%": "%", "%p": str(source), "%f": name}
    out, rest = "", command
    while "%" in rest:
        before, _, after = rest.partition("%")
        assert "%" + after[0] in words, f"the server would refuse %{after[0]}"
        out, rest = out + before + words["%" + after[0]], after[1:]
    return subprocess.run(["/bin/sh", "-c", out + rest], capture_output=True, text=True, check=False)


def archive(folder: Path, source: Path, name: str = NAME) -> subprocess.CompletedProcess[str]:
    return run(archiving_settings(folder, timeout_s=60)["archive_command"], source, name)


def test_a_file_is_kept_once_whole_and_closed(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "segment"
    source.write_bytes(os.urandom(100_000))
    assert archive(folder, source).returncode == 0
    kept = folder / f"{NAME}.gz"
    assert gzip.decompress(kept.read_bytes()) == source.read_bytes()
    assert kept.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in folder.iterdir()) == [kept.name]


def test_the_same_again_is_no_fault_and_another_one_never_overwrites(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "segment"
    source.write_bytes(b"first" * 1000)
    assert archive(folder, source).returncode == 0
    before = (folder / f"{NAME}.gz").read_bytes()
    assert archive(folder, source).returncode == 0
    source.write_bytes(b"other" * 1000)
    refused = archive(folder, source)
    assert refused.returncode == 1
    assert "another content" in refused.stderr
    assert (folder / f"{NAME}.gz").read_bytes() == before


def test_a_draft_of_a_killed_run_is_no_archived_file(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "segment"
    source.write_bytes(b"whole" * 1000)
    (folder / f".{NAME}.draft").write_bytes(b"half")
    assert archive(folder, source).returncode == 0
    assert gzip.decompress((folder / f"{NAME}.gz").read_bytes()) == source.read_bytes()


def test_a_folder_that_is_gone_is_a_fault(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "segment"
    source.write_bytes(b"x")
    folder.rmdir()
    assert archive(folder, source).returncode != 0


def test_fetching_tells_no_file_from_a_damaged_one(folder: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "segment", tmp_path / "fetched"
    source.write_bytes(os.urandom(50_000))
    archive(folder, source)
    assert run(fetch_command(folder), target).returncode == 0
    assert target.read_bytes() == source.read_bytes()
    # 1 ends a recovery well; above 125 the server stops instead of ending early.
    assert run(fetch_command(folder), target, "000000010000000000000008").returncode == 1
    kept = folder / f"{NAME}.gz"
    kept.write_bytes(kept.read_bytes()[:-100])
    assert run(fetch_command(folder), target).returncode > 125
    assert run(fetch_command(folder / "nowhere"), target).returncode > 125
