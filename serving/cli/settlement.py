"""`settlement`: take steps of settlement batches in, and say why a payout has arrived or not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from domain.errors import InvalidInput, TellergateError
from serving.cli.calls import ask_as
from serving.cli.output import fail, print_json, print_line
from serving.cli.reconcile import AsUser, Json, print_quarantined, upload
from serving.settings import read_settings

SettlementFormat = Literal["jsonl", "csv"]
_FORMAT_OF_SUFFIX: Mapping[str, SettlementFormat] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_REFERENCE_LENGTH = 64

settlement_app = typer.Typer(name="settlement", help="Settlement batches: import FILE, explain REFERENCE.", no_args_is_help=True)


@settlement_app.command("import")
def import_settlement(
    file: Annotated[Path, typer.Argument(help="JSONL or CSV, a step of a batch a line.")],
    file_format: Annotated[
        SettlementFormat | None, typer.Option("--format", help="Where the file's name does not say it.")
    ] = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Take steps in, in any order. What is known changes nothing. Exit 2 if no line is good."""
    try:
        query = {"format": file_format or format_of(file)}
        report = upload(read_settings(), "/api/v1/settlement/batches", file, query=query, username=as_user)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(report)
        return
    if report["already_imported"]:
        print_line("this file is in already: nothing was changed; its report was")
    counts = ("lines", "new_batches", "new_states", "new_members", "repeated")
    print_line(", ".join(f"{name.replace('_', ' ')} {report[name]}" for name in counts))
    print_quarantined(report)


@settlement_app.command("explain")
def explain_payout(
    reference: Annotated[str, typer.Argument(help="A payout, transfer or transaction.")],
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Say which batch carries it, its steps, and how late it is."""
    try:
        answer = ask_as(read_settings(), "GET", f"/api/v1/settlement/explanations/{require_reference(reference)}", as_user)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    for batch in answer["batches"]:
        _print_batch(batch)
    if not answer["batches"]:
        print_line("no settlement batch that we know carries it")


def format_of(file: Path) -> SettlementFormat:
    """Return the format that a file's name says. Raises: InvalidInput."""
    found = _FORMAT_OF_SUFFIX.get(file.suffix.lower())
    if found is None:
        known = ", ".join(_FORMAT_OF_SUFFIX)
        raise InvalidInput(f"{file.name} does not end in {known}: say --format jsonl or --format csv", code="unknown_format")
    return found


def require_reference(text: str) -> str:
    """Return a text that can stand in a path. Raises: InvalidInput."""
    if not (0 < len(text) <= _REFERENCE_LENGTH and text.isascii() and text[0].isalnum() and set(text) <= _SIGNS):
        raise InvalidInput("a reference is letters, digits and . _ : - only, at most 64 of them", code="invalid_reference")
    return text


_SIGNS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-")


def _print_batch(batch: Mapping[str, Any]) -> None:
    late = f", late by {batch['late_by']}" if batch["late_by"] not in (None, "PT0S") else ""
    print_line(f"{batch['batch_id']} ({batch['scheme']}): {batch['state']}{late}")
    for step in batch["steps"]:
        expected = f", expected {step['expected_at']}" if step["expected_at"] else ""
        reason = f" ({step['reason_code']})" if step["reason_code"] else ""
        print_line(f"  {step['occurred_at']}  {step['state']}{reason}{expected}")
