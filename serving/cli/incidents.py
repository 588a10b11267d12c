"""`incidents`: what went wrong, and who looks after it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from serving.cli.calls import ask_or_fail, require_id_or_fail
from serving.cli.output import print_json, print_line
from serving.cli.reconcile import AsUser, Json

incidents_app = typer.Typer(
    name="incidents", help="What went wrong in ledger, gate, log or backup, and who looks after it.", no_args_is_help=True
)
CaseId = Annotated[str, typer.Argument(help="cas_…")]


@incidents_app.command("list")
def list_incidents(
    state: Annotated[Literal["open", "closed", "all"], typer.Option("--state", help="In which state.")] = "open",
    kind: Annotated[str | None, typer.Option("--kind", help="ledger_incident, gate_undecided, log_tampered, …")] = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """List incidents: open ones that nobody acknowledged first."""
    params = {"state": state} | ({} if kind is None else {"kind": kind})
    answer = ask_or_fail("GET", "/api/v1/incidents", as_user, as_json=as_json, params=params)
    if as_json:
        print_json(answer)
        return
    for row in answer["items"]:
        _print_line(row)
    if not answer["items"]:
        print_line("no incident")


@incidents_app.command("show")
def show_incident(case_id: CaseId, as_user: AsUser = None, as_json: Json = False) -> None:
    """Show one incident with its facts and its runbook."""
    _show(
        ask_or_fail("GET", f"/api/v1/incidents/{require_id_or_fail(case_id, 'cas', as_json=as_json)}", as_user, as_json=as_json),
        as_json=as_json,
    )


@incidents_app.command("ack")
def acknowledge(
    case_id: CaseId,
    note: Annotated[str, typer.Option("--note", help="What you do about it; no personal data.")],
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Take an incident in hand, in your name. It ends with `cases close`."""
    path = f"/api/v1/incidents/{require_id_or_fail(case_id, 'cas', as_json=as_json)}/ack"
    _show(ask_or_fail("POST", path, as_user, as_json=as_json, json={"note": note}), as_json=as_json)


def _print_line(row: dict[str, Any]) -> None:
    case, by = row["case"], row["acknowledgement"]
    whose = f"acknowledged by {by['acknowledged_by']}" if by else "nobody acknowledged it"
    print_line(f"{case['case_id']}  {case['state']}  {case['kind']}  {case['subject']}  {case['opened_at']}  {whose}")


def _show(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    _print_line(row)
    for name, value in row["case"]["facts"].items():
        print_line(f"  {name}: {value}")
    if row["acknowledgement"]:
        print_line(f"  {row['acknowledgement']['acknowledged_at']}: {row['acknowledgement']['note']}")
    print_line(f"  runbook: {row['runbook']}")
