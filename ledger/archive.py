"""Archive the transfers of a past month: export, read back, leave sums behind, detach; with `drop_archived` let go of them.

An administrator's work on the machine itself, over all tenants of the installation. One transaction: all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection, sql
from psycopg import errors as sql_errors

from domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from ledger.archive_file import (
    ArchiveFileWrong,
    Manifest,
    TenantShare,
    read_shares,
    require_file,
    write_archive_file,
    write_manifest,
)
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "archive.sql")
_DECEMBER = 12
_STANDS_FOR_PART = "ledger.transfers_of_month"


class InvalidMonth(InvalidInput):
    """Say that a month is not one that can be archived."""

    code = "invalid_month"


class MonthNotFound(NotFound):
    """Say that there is no part for a month: nothing was posted under its ids, or it was archived before."""

    code = "month_not_found"


class MonthInUse(Conflict):
    """Say that something of a month is still open."""

    code = "month_in_use"


class FolderNotWritable(InvalidInput):
    """Say that a folder can't take the file."""

    code = "folder_not_writable"


class LedgerBusy(Unavailable):
    """Say that the part could not be taken out in time, for others read it; nothing was changed."""

    code = "ledger_busy"


@dataclass(frozen=True, slots=True)
class Archived:
    """Hold what became of a month."""

    month: str
    file: Path
    sha256: str
    transfers: int
    dropped: bool


@dataclass(frozen=True, slots=True)
class _Part:
    month: date
    end: date

    @property
    def label(self) -> str:
        return f"{self.month:%Y-%m}"

    @property
    def table(self) -> str:
        return f"transfers_{self.month:%Y_%m}"

    @property
    def name(self) -> sql.Identifier:
        return sql.Identifier("ledger", self.table)

    @property
    def archived_name(self) -> sql.Identifier:
        return sql.Identifier("archive", self.table)


def parse_month(text: str) -> date:
    """Read `YYYY-MM`. Raises: InvalidMonth."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise InvalidMonth("a month is written like 2026-01") from error


def archive_month(
    connection: Connection[Any],
    month: date,
    folder: Path,
    *,
    archived_by: str,
    mint_jobs_context: Callable[[str], str],
    now: datetime,
) -> Archived:
    """Export a past month into `folder`, check the file, and take the part out of the ledger; it stays in schema `archive`.

    Raises: InvalidMonth, MonthNotFound, MonthInUse, FolderNotWritable, ArchiveFileWrong, LedgerBusy; nothing is changed then.
    """
    part = _part_of(month)
    if part.end > now.date():
        raise InvalidMonth(f"{part.label} has not ended: only a past month is archived")
    file = folder / f"{part.table}.csv.gz"
    with _named_errors(part, file), _removed_on_failure(file, _manifest_of(file)), connection.transaction():
        connection.execute(_QUERIES["begin_archive"])
        found = connection.execute(_QUERIES["find_part"], {"part": f"ledger.{part.table}"}).fetchone()
        if found is None or found[0] is None:
            raise MonthNotFound(f"there is no part for {part.label}: it was archived before, or there never was one")
        connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(part.name))
        _require_nothing_open(connection, part)
        shares = _count_shares(connection, part)
        digest = _export(connection, part, file)
        if read_shares(file) != shares:
            raise ArchiveFileWrong(f"{file} does not hold what the part held; the part stays where it is")
        transfers = sum(share.transfers for share in shares)
        write_manifest(_manifest_of(file), Manifest(part.label, file.name, digest, transfers, shares))
        _record(connection, part, shares, digest, archived_by, now)
        _detach(connection, part)
        for share in shares:
            _tell(connection, part, share, digest, archived_by, mint_jobs_context(share.tenant_id), now)
    return Archived(month=part.label, file=file, sha256=digest, transfers=transfers, dropped=False)


def drop_archived(connection: Connection[Any], month: date, folder: Path) -> Archived:
    """Drop the detached part of a month, once its file is there and is the one on record.

    Raises: MonthNotFound, ArchiveFileWrong, LedgerBusy; nothing is changed then.
    """
    part = _part_of(month)
    file = folder / f"{part.table}.csv.gz"
    with _named_errors(part, file), connection.transaction():
        connection.execute(_QUERIES["begin_archive"])
        found = connection.execute(_QUERIES["find_part"], {"part": f"archive.{part.table}"}).fetchone()
        if found is None or found[0] is None:
            raise MonthNotFound(f"there is no archived part for {part.label}")
        row = connection.execute(_QUERIES["find_archived"], {"month": part.month}).fetchone()
        digest, transfers = row if row is not None and row[0] is not None else (None, 0)
        if digest is not None:
            require_file(file, sha256=digest)
        connection.execute(sql.SQL("DROP TABLE {}").format(part.archived_name))
    return Archived(month=part.label, file=file, sha256=digest or "", transfers=int(transfers), dropped=True)


def _part_of(month: date) -> _Part:
    first = month.replace(day=1)
    is_last = first.month == _DECEMBER
    end = first.replace(year=first.year + 1, month=1) if is_last else first.replace(month=first.month + 1)
    return _Part(month=first, end=end)


def _manifest_of(file: Path) -> Path:
    return file.with_name(file.name.removesuffix(".csv.gz") + ".json")


def _about(query: str, part: _Part) -> sql.Composed:
    before, *rest = _QUERIES[query].split(_STANDS_FOR_PART)
    return sql.Composed([sql.SQL(before), *(piece for text in rest for piece in (part.name, sql.SQL(text)))])


def _require_nothing_open(connection: Connection[Any], part: _Part) -> None:
    row = connection.execute(_about("count_open", part)).fetchone()
    assert row is not None
    holds, waiting = row
    if holds or waiting:
        raise MonthInUse(f"{part.label}: {holds} open holds, {waiting} transfers that wait for a place in the log")


def _count_shares(connection: Connection[Any], part: _Part) -> tuple[TenantShare, ...]:
    return tuple(TenantShare(row[0], int(row[1]), int(row[2])) for row in connection.execute(_about("count_by_tenant", part)))


def _export(connection: Connection[Any], part: _Part, file: Path) -> str:
    with connection.cursor().copy(_about("copy_part", part)) as copy:
        return write_archive_file(file, copy)


def _record(
    connection: Connection[Any], part: _Part, shares: tuple[TenantShare, ...], digest: str, archived_by: str, now: datetime
) -> None:
    connection.execute(_about("insert_sums", part), {"month": part.month})
    first_id, end_id = _bounds(connection, part)
    for share in shares:
        parameters = {
            "tenant_id": share.tenant_id,
            "month": part.month,
            "first_id": first_id,
            "end_id": end_id,
            "transfers": share.transfers,
            "file_sha256": digest,
            "now": now,
            "archived_by": archived_by,
        }
        connection.execute(_QUERIES["insert_part"], parameters)


def _bounds(connection: Connection[Any], part: _Part) -> tuple[UUID, UUID]:
    moments = {
        name: datetime(day.year, day.month, 1, tzinfo=UTC) for name, day in (("first_at", part.month), ("end_at", part.end))
    }
    row = connection.execute(_QUERIES["bounds_of_month"], moments).fetchone()
    assert row is not None
    return row[0], row[1]


def _detach(connection: Connection[Any], part: _Part) -> None:
    first_id, end_id = _bounds(connection, part)
    connection.execute(sql.SQL("ALTER TABLE ledger.transfers DETACH PARTITION {}").format(part.name))
    # With its guards, out of the way of every posting and check; an auditor may still read it, each tenant by itself.
    connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA archive").format(part.name))
    connection.execute(sql.SQL("GRANT SELECT ON {} TO auditor").format(part.archived_name))
    # An id of this month can't be told from one that was used, so none is taken any more.
    connection.execute(
        sql.SQL(
            "ALTER TABLE ledger.transfers_other ADD CONSTRAINT {} CHECK (transfer_id < {}::UUID OR transfer_id >= {}::UUID)"
        ).format(sql.Identifier(f"archived_{part.month:%Y_%m}"), sql.Literal(str(first_id)), sql.Literal(str(end_id)))
    )


def _tell(
    connection: Connection[Any],
    part: _Part,
    share: TenantShare,
    digest: str,
    archived_by: str,
    context: str,
    now: datetime,
) -> None:
    # The event is the tenant's own: told as role jobs, under a context that was signed for it.
    connection.execute("SET LOCAL row_security = on")
    connection.execute("SET LOCAL SESSION AUTHORIZATION jobs")
    connection.execute(_QUERIES["set_context"], {"context": context})
    parameters = {
        "month": part.month,
        "transfers": share.transfers,
        "file_sha256": digest,
        "archived_by": archived_by,
        "now": now,
    }
    connection.execute(_QUERIES["tell_of_archive"], parameters)
    connection.execute("RESET SESSION AUTHORIZATION")


@contextmanager
def _removed_on_failure(*files: Path) -> Iterator[None]:
    before = {file for file in files if file.exists()}
    if before:
        raise FolderNotWritable(f"{min(before)} is there already: it is never written over")
    try:
        yield
    except BaseException:
        for file in files:
            file.unlink(missing_ok=True)
        raise


@contextmanager
def _named_errors(part: _Part, file: Path) -> Iterator[None]:
    try:
        yield
    except (sql_errors.LockNotAvailable, sql_errors.DeadlockDetected) as error:
        raise LedgerBusy(f"{part.label}: others held its part for too long; nothing was changed, try again") from error
    except sql_errors.InsufficientPrivilege as error:
        raise InvalidInput(
            "an archive needs a database administrator that no row-level security binds", code="not_administrator"
        ) from error
    except OSError as error:
        raise FolderNotWritable(f"{file}: {error.strerror or type(error).__name__}") from error
