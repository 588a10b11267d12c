"""`reconcile`: hand a bank's statement to the service, and see what does not agree with the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import httpx
import typer
from pydantic import BaseModel, ConfigDict
from typer.core import TyperGroup

from domain.errors import InvalidInput, TellergateError
from domain.ids import require_id
from serving.cli.arguments import require_printable
from serving.cli.calls import ask_or_fail
from serving.cli.client import ApiClient
from serving.cli.output import fail, print_json, print_line
from serving.settings import Settings, read_settings

DEFAULT_USERNAME = "kim"
StatementFormat = Literal["csv", "camt053"]
_FORMAT_OF_SUFFIX: Mapping[str, StatementFormat] = {".csv": "csv", ".xml": "camt053", ".camt": "camt053", ".053": "camt053"}
# A large file is matched for a while; the service gives up before we do.
_TIMEOUT = httpx.Timeout(30.0, read=330.0)

AsUser = Annotated[str | None, typer.Option("--as", help="Who acts. The token comes from TELLERGATE_TOKEN; the demo needs none.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class _FileOrCommand(TyperGroup):
    """Let `reconcile FILE` mean `reconcile import FILE`; a file that is named like a command is written ./status."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["import", *args]
        return super().parse_args(ctx, args)


reconcile_app = typer.Typer(
    name="reconcile",
    cls=_FileOrCommand,
    help="Match a bank's statement against the ledger: reconcile FILE, status, breaks, map, unmatch.",
    no_args_is_help=True,
)


class ReconcileOrder(BaseModel):
    """Hold which statement to bring in, about which ledger account, as whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path
    account: str | None
    file_format: StatementFormat | None
    mirrored: bool
    decimal_comma: bool
    username: str | None


@reconcile_app.command("import")
def import_statement(
    file: Annotated[Path, typer.Argument(help="The statement: CSV or camt.053.")],
    account: Annotated[
        str | None,
        typer.Option("--account", help="The ledger account, such as house:refunds:EUR; once for each statement account."),
    ] = None,
    file_format: Annotated[
        StatementFormat | None, typer.Option("--format", help="Where the file's name does not say it.")
    ] = None,
    mirrored: Annotated[bool, typer.Option("--mirrored", help="The bank's credit is a debit on that account.")] = False,
    decimal_comma: Annotated[bool, typer.Option("--decimal-comma", help="CSV: the amounts are written 12,90.")] = False,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Take a statement in and match it. The same file again changes nothing. Exit 2 if no line of it is good."""
    order = ReconcileOrder(
        file=file,
        account=account,
        file_format=file_format,
        mirrored=mirrored,
        decimal_comma=decimal_comma,
        username=as_user,
    )
    try:
        report = run_import(read_settings(), order)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(report)
    else:
        print_report(report)


@reconcile_app.command("status")
def show_status(as_user: AsUser = None, as_json: Json = False) -> None:
    """Say up to where statements reach, what is open, and how long it has waited."""
    answer = ask_or_fail("GET", "/api/v1/reconciliation/status", as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    for row in answer["accounts"]:
        print_line(
            f"{row['code']} {row['currency']}: {row['lines']} lines of {row['statements']} statements up to "
            f"{row['stated_until'][:10]}, {row['open_lines']} open"
        )
    for row in answer["breaks"]:
        overdue = f", {row['overdue']} overdue" if row["overdue"] else ""
        amount = f"{row['amount_minor']} {row['currency']} minor units"
        print_line(f"  {row['code']}  {row['kind']}: {row['breaks']} ({amount}{overdue})")
    for row in answer["ageing"]:
        print_line(f"  waiting {row['bucket']}: {row['cases']}")
    if not answer["accounts"]:
        print_line("no statement is in yet")


@reconcile_app.command("breaks")
def list_breaks(
    account: Annotated[str | None, typer.Option("--account", help="On this ledger account only.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="missing_in_ledger, ambiguous, …")] = None,
    after: Annotated[str | None, typer.Option("--after", help="The last case of the page before.")] = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """List what does not agree, oldest first; each is a case."""
    given = {"account": account, "kind": kind, "after": after}
    query = {name: value for name, value in given.items() if value is not None}
    answer = ask_or_fail("GET", "/api/v1/reconciliation/breaks", as_user, as_json=as_json, params=query)
    if as_json:
        print_json(answer)
        return
    print_cases(answer, otherwise="no open break")


@reconcile_app.command("map")
def map_account(
    statement_account: Annotated[str, typer.Argument(help="What the bank calls the account, such as its IBAN.")],
    account: Annotated[str, typer.Argument(help="The ledger account, such as house:refunds:EUR.")],
    mirrored: Annotated[bool, typer.Option("--mirrored", help="The bank's credit is a debit on that account.")] = False,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Say which ledger account a bank's account is from now on."""
    body = {"account": statement_account, "code": account, "mirrored": mirrored}
    answer = ask_or_fail("POST", "/api/v1/reconciliation/mappings", as_user, as_json=as_json, json=body)
    if as_json:
        print_json(answer)
    else:
        print_line(f"{answer['account']} is {answer['code']}{' (mirrored)' if answer['mirrored'] else ''}")


@reconcile_app.command("unmatch")
def unmatch_line(
    line_id: Annotated[str, typer.Argument(help="stl_…")],
    reason: Annotated[str, typer.Option("--reason", help="Why; no personal data.")],
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Take the match of a line back; no rule matches the pair again."""
    try:
        wanted = require_id(line_id, "stl")
    except TellergateError as error:
        fail(error, as_json=as_json)
    path = f"/api/v1/reconciliation/lines/{wanted}/unmatch"
    answer = ask_or_fail("POST", path, as_user, as_json=as_json, json={"reason": reason})
    if as_json:
        print_json(answer)
    else:
        print_line(f"taken back; {_count(answer['opened']) or 'nothing'} opened")


def run_import(settings: Settings, order: ReconcileOrder) -> dict[str, Any]:
    """Upload the statement and return the report. Raises: TellergateError."""
    query: dict[str, Any] = {"format": order.file_format or format_of(order.file)}
    if order.account is not None:
        query["account"] = require_printable("--account", order.account)
    query |= {name: "true" for name in ("mirrored", "decimal_comma") if getattr(order, name)}
    return upload(settings, "/api/v1/statements", order.file, query=query, username=order.username)


def upload(settings: Settings, path: str, file: Path, *, query: Mapping[str, Any], username: str | None) -> dict[str, Any]:
    """Send a file's bytes as they are. Raises: TellergateError."""
    name = None if username is None else require_printable("--as", username)
    try:
        stream = file.open("rb")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}", code="unreadable_file") from error
    with stream:
        client = ApiClient(settings)
        client.sign_in(name or DEFAULT_USERNAME, must_be=name)
        report: dict[str, Any] = client.call("POST", path, params=dict(query), content=stream, timeout=_TIMEOUT)
    return report


def format_of(file: Path) -> StatementFormat:
    """Return the format that a file's name says. Raises: InvalidInput."""
    found = _FORMAT_OF_SUFFIX.get(file.suffix.lower())
    if found is None:
        known = ", ".join(_FORMAT_OF_SUFFIX)
        raise InvalidInput(f"{file.name} does not end in {known}: say --format csv or --format camt053", code="unknown_format")
    return found


def print_report(report: Mapping[str, Any]) -> None:
    """Print what became of a file."""
    if report["already_imported"]:
        print_line("this file is in already: nothing was changed; its report was")
    for row in report["statements"]:
        repeated = f", {row['repeated']} known from an earlier file" if row["repeated"] else ""
        announced = f", {row['not_booked']} not booked yet" if row["not_booked"] else ""
        print_line(f"{row['account']} is {row['code']} {row['currency']}: {row['lines']} lines{repeated}{announced}")
    print_line(f"matched: {_count(report['matched']) or 'none'}")
    print_line(f"breaks: {_count(report['breaks']) or 'none'}")
    if report["settled_cases"]:
        print_line(f"settled by this file: {report['settled_cases']} cases")
    print_quarantined(report)


def print_quarantined(report: Mapping[str, Any]) -> None:
    """Print the bad lines that a report names."""
    for line in report["quarantined"]:
        print_line(f"  line {line['line_number']}: {line['reason']} [{line['reason_code']}]")
    unnamed = report["quarantined_lines"] - len(report["quarantined"])
    if unnamed > 0:
        print_line(f"  and {unnamed} more; all of them are in quarantine")


def print_cases(answer: Mapping[str, Any], *, otherwise: str) -> None:
    """Print a page of cases and how to get the next one; `otherwise` when there is none."""
    for row in answer["items"]:
        print_case(row)
    if answer["next_after"]:
        print_line(f"more: --after {answer['next_after']}")
    if not answer["items"]:
        print_line(otherwise)


def print_case(row: Mapping[str, Any]) -> None:
    """Print one case on one line."""
    amount = "" if row["amount_minor"] is None else f"  {row['amount_minor']} {row['currency']} minor units"
    what = row["facts"].get("break") or row["kind"]
    ended = "" if row["state"] == "open" else f"  {row['outcome']} by {row['closed_by']}"
    print_line(f"{row['case_id']}  {what}{amount}  {row['subject']}  since {row['opened_at'][:10]}{ended}")


def _count(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
