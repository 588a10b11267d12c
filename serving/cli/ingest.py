"""`ingest`: hand a file to the service and print what became of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from domain.errors import InvalidInput
from serving.cli.client import ApiClient
from serving.settings import Settings


def run_ingest(settings: Settings, file: Path, *, kind: str, username: str) -> dict[str, Any]:
    """Upload `file` and return the report. Raises: TellergateError."""
    try:
        stream = file.open("rb")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}", code="unreadable_file") from error
    client = ApiClient(settings)
    client.sign_in(username)
    with stream:
        report: dict[str, Any] = client.call(
            "POST", "/api/v1/ingest", params={"kind": kind, "filename": file.name}, content=stream
        )
    return report


def print_report(report: Mapping[str, Any]) -> None:
    """Print the counts, then each quarantined row that the report names."""
    console = Console(highlight=False, soft_wrap=True)
    counts = ("rows_read", "rows_inserted", "rows_changed", "rows_unchanged", "rows_quarantined")
    console.print(", ".join(f"{name.removeprefix('rows_')} {report.get(name, 0)}" for name in counts), markup=False)
    for problem in report.get("problems", ()):
        console.print(f"  line {problem['line']}: {problem['reason']} [{problem['reason_code']}]", markup=False)
