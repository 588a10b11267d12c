"""Positions in the write-ahead log, the names of its files, and the family tree of timelines. Pure.

Source: PostgreSQL 18 manual, 28.6 (WAL internals) and 25.3.6 (timelines).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import InvalidInput

SEGMENT_BYTES = 16 * 1024 * 1024
_SEGMENTS_PER_LOG = 0x1_0000_0000 // SEGMENT_BYTES
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_LSN = re.compile(r"([0-9A-F]{1,8})/([0-9A-F]{1,8})")
_HISTORY_LINE = re.compile(r"\s*(\d+)\s+([0-9A-F]+/[0-9A-F]+)(?:\s.*)?")


class InvalidWalPosition(InvalidInput):
    """Say that a text is no position in the log, no segment and no timeline history."""

    code = "invalid_wal_position"


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """Name one file of the log: `number` counts from the log's beginning, whatever the timeline."""

    timeline: int
    number: int

    @property
    def file_name(self) -> str:
        """Return its name, 24 hex digits."""
        return f"{self.timeline:08X}{self.number // _SEGMENTS_PER_LOG:08X}{self.number % _SEGMENTS_PER_LOG:08X}"


@dataclass(frozen=True, slots=True)
class Fork:
    """Say where a timeline was left for the next one."""

    timeline: int
    left_at_lsn: int


def parse_lsn(text: str) -> int:
    """Read `0/A000028` as a byte position. Raises: InvalidWalPosition."""
    match = _LSN.fullmatch(text)
    if match is None:
        raise InvalidWalPosition(f"{text!r} is no position in the log: expected one like 0/A000028")
    return int(match[1], 16) << 32 | int(match[2], 16)


def segment_number(lsn: int) -> int:
    """Return the number of the segment that holds a position."""
    return lsn // SEGMENT_BYTES


def last_segment_number(end_lsn: int) -> int:
    """Return the number of the segment that holds the last byte before a position."""
    return (end_lsn - 1) // SEGMENT_BYTES


def parse_segment(name: str) -> Segment | None:
    """Read a file name; None for a name of another kind, such as a history or a partial file."""
    match = _SEGMENT.fullmatch(name)
    if match is None:
        return None
    return Segment(timeline=int(match[1], 16), number=int(match[2], 16) * _SEGMENTS_PER_LOG + int(match[3], 16))


def history_name(timeline: int) -> str:
    """Return the name of a timeline's history file."""
    return f"{timeline:08X}.history"


def parse_history(text: str) -> tuple[Fork, ...]:
    """Read a history file: the timelines before this one, oldest first. Raises: InvalidWalPosition."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    matches = [_HISTORY_LINE.fullmatch(line) for line in lines]
    if not matches or not all(matches):
        raise InvalidWalPosition("a timeline history cannot be read")
    return tuple(Fork(timeline=int(match[1]), left_at_lsn=parse_lsn(match[2])) for match in matches if match)


def timeline_at(number: int, forks: Sequence[Fork], newest: int) -> int:
    """Return which timeline's file the server wants for segment `number`: the newest that had begun by its end."""
    if not forks:
        return newest
    chosen = forks[0].timeline
    for fork, following in zip(forks, [*(fork.timeline for fork in forks[1:]), newest], strict=True):
        if segment_number(fork.left_at_lsn) <= number:
            chosen = following
    return chosen
