"""Which files a recovery needs: gaps are found, abandoned lines are not followed, and only what nobody needs goes."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from storage.backup.wal_archive import (
    UnknownTimeline,
    WalDamaged,
    WalMissing,
    find_chain,
    read_archive,
    remove_before,
    require_same_cluster,
)
from storage.backup.wal_names import Segment, parse_lsn

SYSTEM = "7700000000000000001"
END = parse_lsn("0/2000120")


@pytest.fixture
def wal_dir(tmp_path: Path) -> Path:
    tmp_path.joinpath(SYSTEM).mkdir()
    return tmp_path


def put(wal_dir: Path, *segments: tuple[int, int]) -> None:
    for timeline, number in segments:
        header = b"\0" * 24 + int(SYSTEM).to_bytes(8, "little")
        (wal_dir / SYSTEM / f"{Segment(timeline, number).file_name}.gz").write_bytes(gzip.compress(header))


def put_history(wal_dir: Path, timeline: int, text: str) -> None:
    (wal_dir / SYSTEM / f"{timeline:08X}.history.gz").write_bytes(gzip.compress(text.encode()))


def test_the_chain_begins_after_the_backups_own_file(wal_dir: Path) -> None:
    put(wal_dir, (1, 1), (1, 2), (1, 3), (1, 4))
    chain = find_chain(read_archive(wal_dir, SYSTEM), timeline=1, end_lsn=END)
    assert chain.segments == (Segment(1, 3), Segment(1, 4))
    assert chain.gap is None


def test_a_gap_is_found_and_ends_the_chain(wal_dir: Path) -> None:
    put(wal_dir, (1, 3), (1, 5), (1, 6))
    chain = find_chain(read_archive(wal_dir, SYSTEM), timeline=1, end_lsn=END)
    assert chain.segments == (Segment(1, 3),)
    assert chain.gap == Segment(1, 4)


def test_an_archive_that_holds_nothing_later_is_no_gap(wal_dir: Path) -> None:
    put(wal_dir, (1, 1), (1, 2))
    chain = find_chain(read_archive(wal_dir, SYSTEM), timeline=1, end_lsn=END)
    assert (chain.segments, chain.gap, chain.last) == ((), None, None)


def test_the_line_of_the_last_restore_is_followed(wal_dir: Path) -> None:
    put(wal_dir, (1, 3), (1, 4), (1, 5), (1, 6), (2, 4), (2, 5))
    put_history(wal_dir, 2, "1\t0/4000100\tbefore a time\n")
    archive = read_archive(wal_dir, SYSTEM)
    chain = find_chain(archive, timeline=1, end_lsn=END)
    assert chain.timeline == 2
    assert chain.segments == (Segment(1, 3), Segment(2, 4), Segment(2, 5))
    given_up = find_chain(archive, timeline=1, end_lsn=END, wanted_timeline=1)
    assert given_up.segments == tuple(Segment(1, number) for number in (3, 4, 5, 6))


def test_a_backup_of_an_abandoned_line_is_refused(wal_dir: Path) -> None:
    put(wal_dir, (1, 3), (1, 4), (2, 4))
    put_history(wal_dir, 2, "1\t0/4000100\tbefore a time\n")
    archive = read_archive(wal_dir, SYSTEM)
    late = parse_lsn("0/6000000")
    with pytest.raises(UnknownTimeline, match="choose an earlier backup"):
        find_chain(archive, timeline=1, end_lsn=late)
    assert find_chain(archive, timeline=1, end_lsn=late, wanted_timeline=1).timeline == 1
    with pytest.raises(UnknownTimeline):
        find_chain(archive, timeline=1, end_lsn=END, wanted_timeline=9)


def test_another_clusters_file_and_a_cut_one_are_refused(wal_dir: Path) -> None:
    put(wal_dir, (1, 3))
    archive = read_archive(wal_dir, SYSTEM)
    chain = find_chain(archive, timeline=1, end_lsn=END)
    require_same_cluster(archive, chain, SYSTEM)
    with pytest.raises(WalDamaged, match="another cluster"):
        require_same_cluster(archive, chain, "1")
    path = archive.path_of(Segment(1, 3))
    path.write_bytes(path.read_bytes()[:12])
    with pytest.raises(WalDamaged):
        require_same_cluster(archive, chain, SYSTEM)


def test_what_no_backup_needs_goes_and_histories_stay(wal_dir: Path) -> None:
    put(wal_dir, (1, 1), (1, 2), (1, 3), (2, 2), (2, 3))
    put_history(wal_dir, 2, "1\t0/2000100\tx\n")
    files, freed = remove_before(read_archive(wal_dir, SYSTEM), 3)
    assert files == 3
    assert freed > 0
    left = read_archive(wal_dir, SYSTEM)
    assert sorted(left.segments) == [Segment(1, 3), Segment(2, 3)]
    assert set(left.histories) == {2}


def test_no_archive_and_a_broken_history_are_said(wal_dir: Path) -> None:
    with pytest.raises(WalMissing, match="--wal"):
        read_archive(wal_dir / "nowhere", SYSTEM)
    (wal_dir / SYSTEM / "00000002.history.gz").write_bytes(b"no gzip")
    with pytest.raises(WalDamaged):
        read_archive(wal_dir, SYSTEM)
