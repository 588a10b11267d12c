"""The job queue: procrastinate on our own schema. Arguments are ids only, and each job names its tenant."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

from procrastinate import App, PsycopgConnector
from psycopg import Connection
from psycopg.types.json import Jsonb

from domain.errors import InvalidInput, SetupError
from storage.named_queries import load_queries
from storage.tenancy import require_tenant_id

_QUERIES = load_queries(Path(__file__).parent / "sql" / "jobs.sql")
_ID_MAX_CHARS = 128


class JobArgumentTooLong(InvalidInput):
    """Say that a job argument is no id: contents stay in their tables, where row-level security guards them."""

    code = "job_argument_too_long"


class JobSchemaDrift(SetupError):
    """Say that the installed procrastinate is not the one whose tables are in the database."""

    code = "job_schema_drift"


def make_job_app(dsn: str, *, import_paths: Sequence[str] = (), max_size: int = 4) -> App:
    """Make the worker's app; `dsn` is of role jobs. `import_paths` are the modules that declare tasks."""
    connector = PsycopgConnector(
        conninfo=dsn,
        kwargs={"options": "-c search_path=jobs,extensions", "application_name": "tellergate-jobs"},
        min_size=1,
        max_size=max_size,
    )
    return App(connector=connector, import_paths=list(import_paths))


def defer_job(
    connection: Connection[Any],
    *,
    tenant_id: str,
    task_name: str,
    ids: Mapping[str, str],
    queue: str = "default",
    once_key: str | None = None,
    run_at: datetime | None = None,
    priority: int = 0,
) -> int:
    """Queue a job in the caller's transaction, so that it exists exactly if its cause does. Returns the job's number.

    `once_key`: no second waiting job of this key and tenant (psycopg.errors.UniqueViolation).
    Raises: JobArgumentTooLong.
    """
    for name, value in ids.items():
        if len(value) > _ID_MAX_CHARS:
            raise JobArgumentTooLong(f"job {task_name}: argument {name} has more than {_ID_MAX_CHARS} characters")
    parameters = {
        "queue": queue,
        "task_name": task_name,
        "priority": priority,
        "queueing_lock": None if once_key is None else f"{tenant_id}:{once_key}",
        "args": Jsonb({**ids, "tenant_id": require_tenant_id(tenant_id)}),
        "run_at": run_at,
    }
    row = connection.execute(_QUERIES["defer_job"], parameters).fetchone()
    assert row is not None
    return int(row[0])


def require_current_job_schema(connection: Connection[Any]) -> None:
    """Compare the installed procrastinate's schema with the one that was run. Raises: JobSchemaDrift."""
    installed = hashlib.sha256((resources.files("procrastinate.sql") / "schema.sql").read_bytes()).hexdigest()
    row = connection.execute(_QUERIES["find_job_schema_digest"]).fetchone()
    if row is None or row[0] != installed:
        raise JobSchemaDrift("procrastinate was changed after its tables were made: add a migration with its own steps")
