"""The one door for records: a file in, a report out. Bad rows wait in quarantine, the rest goes on."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from psycopg import Connection

from domain.clock import render_time
from domain.errors import InvalidInput, Unavailable
from domain.event import Event
from domain.ids import make_id
from masking.vault import Transact, Vault
from serving.ingest.free_text import FreeTextMasker, TextDeps
from serving.ingest.kinds import KindSpec, require_kind
from serving.ingest.reading import FileFormat, Problem, ReadRow, UnreadableFile, read_rows, require_text_file
from serving.ingest.references import ReferenceBook, split_by_erasure, split_by_references, split_by_username, split_labels
from serving.ingest.writing import tokenize_rows, upsert_rows, write_quarantine
from storage.events import append_event
from storage.named_queries import load_queries

if TYPE_CHECKING:
    from masking.masker import Masker
    from masking.number_index import NumberIndexes

_QUERIES = load_queries(Path(__file__).parent / "sql" / "ingest.sql")
_CHUNK_ROWS = 4_000
_MAX_QUARANTINED = 10_000
_MAX_REPORTED = 20
_CLOCK_LEEWAY = timedelta(days=1)


class TooManyProblems(InvalidInput):
    """Say that a file is bad all over: probably another kind or format than was named."""

    code = "too_many_problems"


@dataclass(frozen=True, slots=True)
class IngestDeps:
    """Hold what ingest works with: transactions of roles `jobs` and `vault` for a tenant, the vault, and for texts a masker.

    A masker takes seconds to make, so it is made when the first text asks for it. `indexes` know every customer's numbers.
    """

    transact_jobs: Transact
    transact_vault: Transact
    vault: Vault
    make_masker: Callable[[], Masker]
    indexes: NumberIndexes | None = None


@dataclass(frozen=True, slots=True)
class ReportedProblem:
    """Hold what may be shown of a bad row: never its text."""

    line: int
    reason_code: str
    reason: str


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Hold what became of a file. `problems` are the first ones; all stand in the quarantine."""

    ingest_id: str
    kind: str
    file_sha256: str
    rows_read: int
    rows_inserted: int
    rows_changed: int
    rows_unchanged: int
    rows_quarantined: int
    elapsed_ms: int
    problems: tuple[ReportedProblem, ...]


@dataclass(slots=True)
class _Run:
    """The file at work: what was seen and counted so far."""

    deps: IngestDeps
    spec: KindSpec
    tenant_id: str
    ingest_id: str
    file_sha256: str
    now: datetime
    book: ReferenceBook
    texts: FreeTextMasker
    started_s: float
    seen: dict[tuple[str, ...], bytes] = field(default_factory=dict)
    problems: list[ReportedProblem] = field(default_factory=list)
    rows_read: int = 0
    rows_inserted: int = 0
    rows_changed: int = 0
    rows_quarantined: int = 0

    @property
    def rows_unchanged(self) -> int:
        return self.rows_read - self.rows_inserted - self.rows_changed - self.rows_quarantined

    @property
    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self.started_s) * 1000)


def ingest_file(
    deps: IngestDeps, source: Path | BinaryIO, kind: str, *, tenant_id: str, now: datetime, file_format: FileFormat | None = None
) -> IngestReport:
    """Bring in one file. Who may ingest this kind is checked by the caller; operators are for admins.

    `source` is a path or a seekable binary stream. The format is told by the path's suffix, else JSON lines.
    Idempotency: the same file again leaves every row unchanged; a killed run is completed by running it again.
    One event `record.ingested` for a file.

    Raises: UnknownKind, UnreadableFile, TooManyProblems, Unavailable.
    """
    spec = require_kind(kind)
    chosen = file_format or _format_of(source)
    with _open(source) as stream:
        require_text_file(stream)
        start = stream.tell()
        digest = _digest(stream)
        stream.seek(start)
        run = _start_run(deps, spec, tenant_id=tenant_id, now=now, file_sha256=digest)
        try:
            _bring_in(run, read_rows(stream, spec, chosen))
        except Unavailable:
            # Nothing can be noted in a database that is down: the run stays 'running' and the next one takes over.
            raise
        except Exception as error:
            _finish_run(run, state="failed", error=str(error) if isinstance(error, InvalidInput) else type(error).__name__)
            raise
    _finish_run(run, state="done", error=None)
    return IngestReport(
        ingest_id=run.ingest_id,
        kind=spec.kind,
        file_sha256=digest,
        rows_read=run.rows_read,
        rows_inserted=run.rows_inserted,
        rows_changed=run.rows_changed,
        rows_unchanged=run.rows_unchanged,
        rows_quarantined=run.rows_quarantined,
        elapsed_ms=run.elapsed_ms,
        problems=tuple(run.problems),
    )


def _digest(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := stream.read(1_048_576):
        digest.update(block)
    return digest.hexdigest()


def _format_of(source: Path | BinaryIO) -> FileFormat:
    return "csv" if isinstance(source, Path) and source.suffix.lower() == ".csv" else "jsonl"


@contextmanager
def _open(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, Path):
        if not source.seekable():
            raise UnreadableFile("the stream can't be read twice; spool it into a file first")
        source.seek(0)
        yield source
        return
    try:
        stream = source.open("rb")
    except OSError as error:
        raise UnreadableFile(f"cannot read {source}: {error.strerror}") from error
    with stream:
        yield stream


def _start_run(deps: IngestDeps, spec: KindSpec, *, tenant_id: str, now: datetime, file_sha256: str) -> _Run:
    run = _Run(
        deps=deps,
        spec=spec,
        tenant_id=tenant_id,
        ingest_id=make_id("ing", now),
        file_sha256=file_sha256,
        now=now,
        book=ReferenceBook(tenant_id),
        texts=FreeTextMasker(TextDeps(deps.vault, deps.transact_vault, deps.make_masker, deps.indexes), tenant_id),
        started_s=time.monotonic(),
    )
    row = {"tenant_id": tenant_id, "ingest_id": run.ingest_id, "kind": spec.kind, "file_sha256": file_sha256, "now": now}
    with deps.transact_jobs(tenant_id) as conn:
        conn.execute(_QUERIES["start_run"], row)
        conn.execute(_QUERIES["close_interrupted_runs"], row)
    return run


def _bring_in(run: _Run, lines: Iterable[ReadRow | Problem]) -> None:
    remaining = iter(lines)
    latest = render_time(run.now + _CLOCK_LEEWAY)
    while chunk := list(islice(remaining, _CHUNK_ROWS)):
        rows: list[ReadRow] = []
        problems: list[Problem] = []
        for line in chunk:
            fault = line if isinstance(line, Problem) else _find_fault(run, line, latest)
            if isinstance(fault, Problem):
                problems.append(fault)
            elif isinstance(line, ReadRow) and not _is_repeated(run, line):
                rows.append(line)
        run.rows_read += len(chunk)
        _write_chunk(run, rows, problems)
        if run.rows_quarantined > _MAX_QUARANTINED:
            raise TooManyProblems(
                f"more than {_MAX_QUARANTINED} bad rows until line {chunk[-1].line}: is this a file of {run.spec.kind}? "
                "The good rows up to here are in"
            )


def _find_fault(run: _Run, line: ReadRow, latest: str) -> Problem | None:
    if run.spec.past and getattr(line.row, run.spec.past) > latest:
        return Problem(line.line, "future_time", f"field {run.spec.past}: lies in the future", line.raw)
    held = run.seen.get(_key(run.spec, line))
    if held is not None and held != _content_digest(line):
        return Problem(line.line, "duplicate_id", "an earlier line has this id with other content", line.raw)
    return None


def _is_repeated(run: _Run, line: ReadRow) -> bool:
    """Say whether an equal row came before, and remember this one. A repeated row counts as unchanged."""
    key = _key(run.spec, line)
    if key in run.seen:
        return True
    run.seen[key] = _content_digest(line)
    return False


def _key(spec: KindSpec, line: ReadRow) -> tuple[str, ...]:
    return tuple(getattr(line.row, name) for name in spec.key)


def _content_digest(line: ReadRow) -> bytes:
    return hashlib.blake2b(line.row.model_dump_json().encode(), digest_size=8).digest()


def _write_chunk(run: _Run, rows: list[ReadRow], problems: list[Problem]) -> None:
    """Write one chunk in one transaction: after a kill a chunk is in as a whole or not at all."""
    with run.deps.transact_jobs(run.tenant_id) as conn:
        rows, erased = _split_by_erasure(conn, run, rows)
        good, faults = split_by_references(conn, run.book, run.spec, rows)
        faults += erased
        if run.spec.kind == "operators":
            good, taken = split_by_username(conn, run.tenant_id, good)
            faults += taken
        if run.spec.kind == "labels":
            good, refused = split_labels(conn, run.tenant_id, good)
            faults += refused
        columns = _tokenize(run, good)
        inserted, changed = upsert_rows(conn, run.spec, columns, tenant_id=run.tenant_id)
        problems = sorted([*problems, *faults], key=lambda problem: problem.line)
        write_quarantine(conn, run.deps.vault, problems, tenant_id=run.tenant_id, ingest_id=run.ingest_id)
    run.rows_inserted += inserted
    run.rows_changed += changed
    run.rows_quarantined += len(problems)
    shown = problems[: _MAX_REPORTED - len(run.problems)]
    run.problems += [ReportedProblem(problem.line, problem.reason_code, problem.reason) for problem in shown]


def _split_by_erasure(conn: Connection[Any], run: _Run, rows: list[ReadRow]) -> tuple[list[ReadRow], list[Problem]]:
    if not (rows and run.spec.is_about_customer):
        return rows, []
    run.book.load(conn, run.spec, (read.row for read in rows))
    customers = {customer_id for read in rows if (customer_id := run.book.find_customer(read.row)) is not None}
    with run.deps.transact_vault(run.tenant_id) as vault_conn:
        erased = run.deps.vault.list_erased(vault_conn, customers, tenant_id=run.tenant_id)
    return split_by_erasure(run.book, rows, erased)


def _tokenize(run: _Run, rows: list[ReadRow]) -> list[dict[str, Any]]:
    if not run.spec.regulated:
        columns = [read.row.model_dump() for read in rows]
        if run.spec.has_free_text:
            run.texts.mask(rows, columns, run.book)
        return columns
    # The vault commits first: a token without a row harms nobody, a row without its token would.
    with run.deps.transact_vault(run.tenant_id) as vault_conn:
        return tokenize_rows(vault_conn, run.deps.vault, run.book, run.spec, rows, tenant_id=run.tenant_id)


def _finish_run(run: _Run, *, state: str, error: str | None) -> None:
    finished_at = run.now + timedelta(milliseconds=run.elapsed_ms)
    counts = {
        "rows_read": run.rows_read,
        "rows_inserted": run.rows_inserted,
        "rows_changed": run.rows_changed,
        "rows_unchanged": run.rows_unchanged,
        "rows_quarantined": run.rows_quarantined,
    }
    row = {"tenant_id": run.tenant_id, "ingest_id": run.ingest_id, "state": state, "finished_at": finished_at, "error": error}
    with run.deps.transact_jobs(run.tenant_id) as conn:
        conn.execute(_QUERIES["finish_run"], row | counts)
        if state == "done":
            _append_ingested(conn, run, counts, finished_at)


def _append_ingested(conn: Connection[Any], run: _Run, counts: dict[str, int], finished_at: datetime) -> None:
    append_event(
        conn,
        Event(
            event_id=make_id("evt", finished_at),
            event_type="record.ingested",
            source="ingest",
            subject=run.ingest_id,
            tenant_id=run.tenant_id,
            occurred_at=finished_at,
            recorded_at=finished_at,
            data={"ingest_id": run.ingest_id, "kind": run.spec.kind, "file_sha256": run.file_sha256, **counts},
        ),
    )
