"""Which WAL files are in the archive, which ones a recovery needs, and which ones nobody needs any more."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from domain.errors import InvalidInput, SetupError
from storage.backup.wal_names import (
    Fork,
    InvalidWalPosition,
    Segment,
    history_name,
    last_segment_number,
    parse_history,
    parse_segment,
    timeline_at,
)

_SUFFIX = ".gz"


class WalMissing(SetupError):
    """Say which WAL files the archive lacks."""

    code = "wal_missing"


class WalDamaged(SetupError):
    """Say which file of the archive cannot be read."""

    code = "wal_damaged"


class UnknownTimeline(InvalidInput):
    """Say that a backup and a timeline do not go together."""

    code = "unknown_timeline"


@dataclass(frozen=True, slots=True)
class WalArchive:
    """Hold what one cluster's folder of the archive lists. `segments` maps to the bytes on disk."""

    folder: Path
    segments: Mapping[Segment, int]
    histories: Mapping[int, tuple[Fork, ...]]

    @property
    def bytes_on_disk(self) -> int:
        """Return what the segments take."""
        return sum(self.segments.values())

    @property
    def newest_at(self) -> datetime | None:
        """Return when the last file came in, by the archive's own stamps; None for an empty archive."""
        times = [self.path_of(segment).stat().st_mtime for segment in self.segments]
        return datetime.fromtimestamp(max(times), UTC) if times else None

    def path_of(self, segment: Segment) -> Path:
        """Return where a segment lies."""
        return self.folder / f"{segment.file_name}{_SUFFIX}"


@dataclass(frozen=True, slots=True)
class WalChain:
    """Hold the files from the end of a base backup to the newest of a timeline, in their order, and the first that is missing."""

    timeline: int
    segments: tuple[Segment, ...]
    gap: Segment | None

    @property
    def last(self) -> Segment | None:
        """Return the last file before any gap."""
        return self.segments[-1] if self.segments else None


def read_archive(wal_dir: Path, system_identifier: str) -> WalArchive:
    """List one cluster's archive; an archive that was never begun is empty. Raises: WalDamaged, WalMissing."""
    folder = wal_dir / system_identifier
    if not wal_dir.is_dir():
        raise WalMissing(f"there is no folder {wal_dir}: name the archive of the write-ahead log with --wal")
    segments: dict[Segment, int] = {}
    histories: dict[int, tuple[Fork, ...]] = {}
    for path in sorted(folder.glob(f"[0-9A-F]*{_SUFFIX}")) if folder.is_dir() else ():
        name = path.name.removesuffix(_SUFFIX)
        segment = parse_segment(name)
        if segment is not None:
            segments[segment] = path.stat().st_size
        elif name.endswith(".history"):
            histories[int(name[:8], 16)] = _read_history(path)
    return WalArchive(folder=folder, segments=segments, histories=histories)


def find_chain(archive: WalArchive, *, timeline: int, end_lsn: int, wanted_timeline: int | None = None) -> WalChain:
    """Return the files that follow a base backup of `timeline` that ends at `end_lsn`.

    Without a wanted timeline: the newest, on which the last restored cluster went on; a backup of a line that was given up
    by that restore is refused. Raises: UnknownTimeline.
    """
    chosen = newest_timeline(archive, [timeline]) if wanted_timeline is None else wanted_timeline
    if not leads_to(archive, chosen, ancestor=timeline, end_lsn=end_lsn):
        raise UnknownTimeline(
            f"the cluster went on with timeline {chosen}, which does not follow from this backup of timeline {timeline}: choose "
            f"an earlier backup, or --timeline {timeline} to get back what an earlier restore gave up"
        )
    forks = () if chosen == timeline else archive.histories[chosen]
    present = {segment.number for segment in archive.segments if timeline_at(segment.number, forks, chosen) == segment.timeline}
    # The backup brings the file in which it ended.
    first = last_segment_number(end_lsn) + 1
    wanted = [Segment(timeline_at(number, forks, chosen), number) for number in range(first, max(present, default=0) + 1)]
    gap = next((segment for segment in wanted if segment.number not in present), None)
    whole = wanted if gap is None else wanted[: wanted.index(gap)]
    return WalChain(timeline=chosen, segments=tuple(whole), gap=gap)


def require_same_cluster(archive: WalArchive, chain: WalChain, system_identifier: str) -> None:
    """Refuse files of another cluster, whose names look the same. Raises: WalDamaged.

    Source: PostgreSQL xlog_internal.h, XLogLongPageHeaderData: the identifier stands at byte 24 of a file.
    """
    if chain.last is None:
        return
    path = archive.path_of(chain.last)
    try:
        with gzip.open(path) as stream:
            head = stream.read(32)
    except (OSError, EOFError, zlib.error) as error:
        raise WalDamaged(f"{path} cannot be read: it was changed or cut short") from error
    if len(head) < 32 or str(int.from_bytes(head[24:32], "little")) != system_identifier:
        raise WalDamaged(f"{path} is of another cluster than the backup, or was cut short")


def remove_before(archive: WalArchive, number: int) -> tuple[int, int]:
    """Delete the segments of every timeline before segment `number`; return how many and how many bytes. Histories stay."""
    doomed = sorted(segment for segment in archive.segments if segment.number < number)
    for segment in doomed:
        archive.path_of(segment).unlink(missing_ok=True)
    return len(doomed), sum(archive.segments[segment] for segment in doomed)


def newest_timeline(archive: WalArchive, timelines: Iterable[int]) -> int:
    """Return the timeline that the cluster went on with: that of its last restore, or the one it began with."""
    return max([*timelines, *archive.histories])


def leads_to(archive: WalArchive, timeline: int, *, ancestor: int, end_lsn: int) -> bool:
    """Say whether `timeline` is, or follows from, `ancestor` at or after the position at which a backup ended."""
    if timeline == ancestor:
        return True
    forks = archive.histories.get(timeline, ())
    return any(fork.timeline == ancestor and fork.left_at_lsn >= end_lsn for fork in forks)


def _read_history(path: Path) -> tuple[Fork, ...]:
    try:
        return parse_history(gzip.decompress(path.read_bytes()).decode("utf-8"))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, InvalidWalPosition) as error:
        raise WalDamaged(f"{path} cannot be read: without it {history_name(int(path.name[:8], 16))} is unknown") from error
