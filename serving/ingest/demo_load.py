"""Load the demo tenant through the same door as any bank's files. Twice is once."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path

from argon2 import PasswordHasher

from demo.canaries import CANARY_VERSION, add_canaries
from demo.generator import DEFAULT_SEED, GENERATOR_VERSION, KINDS, Dataset, generate
from demo.writing import render_row, write_dataset, write_manifest
from domain.errors import BrokenInvariant
from domain.ids import make_id
from serving.ingest.demo_logins import ensure_logins
from serving.ingest.ingest import IngestDeps, IngestReport, ingest_file
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "ingest.sql")
_RUN_KIND = "demo"


class DemoRefused(BrokenInvariant):
    """Say that rows of our own generator did not pass our own door."""

    code = "demo_refused"


@dataclass(frozen=True, slots=True)
class DemoDeps:
    """Hold what loading needs: the door, the vault's tenant key, and where logins and scenarios are written."""

    ingest: IngestDeps
    ensure_tenant_keys: Callable[[str], object]
    logins_path: Path
    scenarios_path: Path
    tenant_id: str = "demo"
    seed: int = DEFAULT_SEED


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Hold what was done. `as_of` is the day after the last record; None when the demo was there already."""

    already_loaded: bool
    as_of: date | None
    rows: int
    generate_ms: int
    load_ms: int
    files: tuple[IngestReport, ...]


def load_demo(deps: DemoDeps, now: datetime) -> DemoReport:
    """Make the demo tenant as of today and ingest it, unless it is there.

    Idempotency: told by a run of kind `demo` over seed and generator version. A load that was killed goes on with its own day.
    When the file of logins is gone, the operators get new passwords.

    Raises: LoginsFileUnusable, DemoRefused, Unavailable.
    """
    deps.ensure_tenant_keys(deps.tenant_id)
    digest = hashlib.sha256(f"demo|{GENERATOR_VERSION}|{deps.seed}|{CANARY_VERSION}".encode()).hexdigest()
    ingest_id, state, as_of = _find_or_start_run(deps, digest, now)
    if state == "done":
        return _renew(deps, as_of, now)
    started_s = time.monotonic()
    dataset = add_canaries(generate(seed=deps.seed, as_of=as_of), as_of=datetime.combine(as_of, time_of_day.min, tzinfo=UTC))
    generated_s = time.monotonic()
    files = _ingest(deps, dataset, KINDS, now)
    loaded_s = time.monotonic()
    _set_screening(deps, dataset)
    _write_scenarios(deps, dataset)
    rows = sum(file.rows_read for file in files)
    _finish_run(deps, ingest_id, now + timedelta(seconds=loaded_s - started_s), rows=rows, files=files)
    return DemoReport(
        already_loaded=False,
        as_of=as_of,
        rows=rows,
        generate_ms=int((generated_s - started_s) * 1000),
        load_ms=int((loaded_s - generated_s) * 1000),
        files=files,
    )


def _find_or_start_run(deps: DemoDeps, digest: str, now: datetime) -> tuple[str, str, date]:
    """Return id, state and day of the load: of the one that was begun, or of a new one."""
    scope = {"tenant_id": deps.tenant_id, "kind": _RUN_KIND, "file_sha256": digest, "now": now}
    with deps.ingest.transact_jobs(deps.tenant_id) as conn:
        begun = conn.execute(_QUERIES["find_runs"], scope).fetchone()
        if begun is not None:
            return str(begun[0]), str(begun[1]), begun[2].astimezone(now.tzinfo).date()
        ingest_id = make_id("ing", now)
        conn.execute(_QUERIES["ensure_tenant"], {"tenant_id": deps.tenant_id, "name": "Demo bank", "now": now})
        conn.execute(_QUERIES["start_run"], scope | {"ingest_id": ingest_id})
    return ingest_id, "running", now.date()


def _renew(deps: DemoDeps, as_of: date, now: datetime) -> DemoReport:
    """Put back what lies outside the database: the logins, with new passwords, and the scenarios."""
    files: tuple[IngestReport, ...] = ()
    if not deps.logins_path.exists() or not deps.scenarios_path.exists():
        dataset = generate(seed=deps.seed, as_of=as_of)
        if not deps.logins_path.exists():
            files = _ingest(deps, dataset, ("operators",), now)
        _write_scenarios(deps, dataset)
    return DemoReport(already_loaded=True, as_of=None, rows=0, generate_ms=0, load_ms=0, files=files)


def _ingest(deps: DemoDeps, dataset: Dataset, kinds: tuple[str, ...], now: datetime) -> tuple[IngestReport, ...]:
    logins = ensure_logins(deps.logins_path, [row["username"] for row in dataset.records["operators"]])
    with tempfile.TemporaryDirectory(prefix="tellergate-demo-") as name:
        folder = Path(name)
        write_dataset(dataset, folder)
        _write_operators(folder / "operators.jsonl", dataset, logins)
        reports = []
        for kind in kinds:
            report = ingest_file(deps.ingest, folder / f"{kind}.jsonl", kind, tenant_id=deps.tenant_id, now=now)
            if report.rows_quarantined:
                first = report.problems[0]
                raise DemoRefused(f"{kind}, line {first.line}: {first.reason_code}, {first.reason}")
            reports.append(report)
    return tuple(reports)


def _set_screening(deps: DemoDeps, dataset: Dataset) -> None:
    """Give the demo's payees the states of an invented earlier screening; one that was screened since keeps its state."""
    known = sorted(dataset.screening.items())
    row = {
        "tenant_id": deps.tenant_id,
        "beneficiary_ids": [beneficiary_id for beneficiary_id, _ in known],
        "states": [state for _, state in known],
    }
    with deps.ingest.transact_jobs(deps.tenant_id) as conn:
        conn.execute(_QUERIES["set_screening"], row)


def _write_operators(path: Path, dataset: Dataset, logins: dict[str, str]) -> None:
    hasher = PasswordHasher()
    with path.open("wb") as file:
        for row in dataset.records["operators"]:
            file.write(render_row({**row, "password_hash": hasher.hash(logins[row["username"]])}))


def _write_scenarios(deps: DemoDeps, dataset: Dataset) -> None:
    deps.scenarios_path.parent.mkdir(parents=True, exist_ok=True)
    write_manifest(dataset, deps.scenarios_path)


def _finish_run(deps: DemoDeps, ingest_id: str, finished_at: datetime, *, rows: int, files: tuple[IngestReport, ...]) -> None:
    row = {
        "tenant_id": deps.tenant_id,
        "ingest_id": ingest_id,
        "state": "done",
        "finished_at": finished_at,
        "error": None,
        "rows_read": rows,
        "rows_inserted": sum(file.rows_inserted for file in files),
        "rows_changed": sum(file.rows_changed for file in files),
        "rows_unchanged": sum(file.rows_unchanged for file in files),
        "rows_quarantined": 0,
    }
    with deps.ingest.transact_jobs(deps.tenant_id) as conn:
        conn.execute(_QUERIES["finish_run"], row)
