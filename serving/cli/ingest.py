"""`ingest`: hand a file to the service and print what became of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict

from domain.errors import InvalidInput
from serving.cli.arguments import require_printable
from serving.cli.client import ApiClient
from serving.cli.output import print_line
from serving.settings import Settings

FileFormat = Literal["jsonl", "csv"]

DEFAULT_USERNAME = "kim"
_FORMAT_OF_SUFFIX: Mapping[str, FileFormat] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
# A large file loads for minutes; the service gives up before we do.
_TIMEOUT = httpx.Timeout(30.0, read=1860.0)


class IngestOrder(BaseModel):
    """Hold which file to bring in, as what, as whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path
    kind: str
    file_format: FileFormat | None = None
    username: str | None = None


def run_ingest(settings: Settings, order: IngestOrder) -> dict[str, Any]:
    """Upload the file and return the report. Raises: TellergateError."""
    query = {"kind": require_printable("--kind", order.kind), "format": order.file_format or format_of(order.file)}
    username = None if order.username is None else require_printable("--as", order.username)
    try:
        stream = order.file.open("rb")
    except OSError as error:
        raise InvalidInput(f"{order.file} cannot be read: {error.strerror}", code="unreadable_file") from error
    with stream:
        client = ApiClient(settings)
        client.sign_in(username or DEFAULT_USERNAME, must_be=username)
        report: dict[str, Any] = client.call("POST", "/api/v1/ingest", params=query, content=stream, timeout=_TIMEOUT)
    return report


def format_of(file: Path) -> FileFormat:
    """Return the format that a file's name says. Raises: InvalidInput."""
    found = _FORMAT_OF_SUFFIX.get(file.suffix.lower())
    if found is None:
        known = ", ".join(_FORMAT_OF_SUFFIX)
        raise InvalidInput(f"{file.name} does not end in {known}: say --format jsonl or --format csv", code="unknown_format")
    return found


def is_all_bad(report: Mapping[str, Any]) -> bool:
    """Say whether no row was good: the wrong kind, format or file."""
    return 0 < int(report.get("rows_read", 0)) == int(report.get("rows_quarantined", 0))


def print_report(report: Mapping[str, Any]) -> None:
    """Print the counts, then each quarantined row that the report names."""
    counts = ("rows_read", "rows_inserted", "rows_changed", "rows_unchanged", "rows_quarantined")
    print_line(", ".join(f"{name.removeprefix('rows_')} {report.get(name, 0)}" for name in counts))
    problems = report.get("problems", ())
    for problem in problems:
        print_line(f"  line {problem['line']}: {problem['reason']} [{problem['reason_code']}]")
    unnamed = int(report.get("rows_quarantined", 0)) - len(problems)
    if unnamed > 0:
        print_line(f"  and {unnamed} more; all of them are in quarantine")
