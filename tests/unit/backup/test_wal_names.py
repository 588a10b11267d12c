"""Names and positions of the log, against what PostgreSQL itself writes."""

from __future__ import annotations

import pytest

from storage.backup.wal_names import (
    SEGMENT_BYTES,
    Fork,
    InvalidWalPosition,
    Segment,
    last_segment_number,
    parse_history,
    parse_lsn,
    parse_segment,
    timeline_at,
)


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("000000010000000000000001", Segment(1, 1)),
        ("0000000100000000000000FF", Segment(1, 255)),
        ("000000020000000100000000", Segment(2, 256)),
        ("0000000A000000FF000000A0", Segment(10, 255 * 256 + 160)),
    ],
)
def test_a_name_is_read_and_written_back(name: str, segment: Segment) -> None:
    assert parse_segment(name) == segment
    assert segment.file_name == name


@pytest.mark.parametrize(
    "name", ["00000002.history", "000000010000000000000001.partial", "000000010000000000000002.00000028.backup", "", "x" * 24]
)
def test_other_files_are_no_segments(name: str) -> None:
    assert parse_segment(name) is None


def test_a_position_at_a_border_belongs_to_the_file_before() -> None:
    assert parse_lsn("1/A000028") == (1 << 32) + 0xA000028
    assert last_segment_number(parse_lsn("0/A000120")) == 10
    assert last_segment_number(parse_lsn("0/B000000")) == 10
    assert SEGMENT_BYTES == 16 * 1024 * 1024


@pytest.mark.parametrize("text", ["", "0", "0/", "/1", "G/0", "0/123456789", "-1/0"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(InvalidWalPosition):
        parse_lsn(text)


def test_a_history_names_its_ancestors_in_order() -> None:
    text = "1\t0/5000028\tbefore 2026-01-01 00:00:00+00\n\n2\t0/9000000\tno recovery target specified\n"
    assert parse_history(text) == (Fork(1, parse_lsn("0/5000028")), Fork(2, parse_lsn("0/9000000")))
    for bad in ("", "# only a comment\n", "one\t0/1\tx\n", "1 nowhere\n"):
        with pytest.raises(InvalidWalPosition):
            parse_history(bad)


def test_at_a_fork_the_new_timeline_has_the_file() -> None:
    forks = (Fork(1, parse_lsn("0/5000028")), Fork(2, parse_lsn("0/9000000")))
    assert [timeline_at(number, forks, 3) for number in range(3, 12)] == [1, 1, 2, 2, 2, 2, 3, 3, 3]
    assert timeline_at(7, (), 4) == 4
