"""`cases`: open questions that wait for a person."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from serving.cli.calls import ask_or_fail, require_id_or_fail
from serving.cli.output import print_json, print_line
from serving.cli.reconcile import AsUser, Json, print_case, print_cases

cases_app = typer.Typer(name="cases", help="Open questions that wait for a person.", no_args_is_help=True)
CaseId = Annotated[str, typer.Argument(help="cas_…")]


@cases_app.command("list")
def list_cases(
    state: Annotated[Literal["open", "closed", "all"], typer.Option("--state", help="In which state.")] = "open",
    kind: Annotated[str | None, typer.Option("--kind", help="reconciliation_break, instruction_failed, ledger_incident")] = None,
    after: Annotated[str | None, typer.Option("--after", help="The last case of the page before.")] = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """List cases, oldest first."""
    given = {"state": state, "kind": kind, "after": after}
    query = {name: value for name, value in given.items() if value is not None}
    answer = ask_or_fail("GET", "/api/v1/cases", as_user, as_json=as_json, params=query)
    if as_json:
        print_json(answer)
        return
    print_cases(answer, otherwise="no case")


@cases_app.command("show")
def show_case(case_id: CaseId, as_user: AsUser = None, as_json: Json = False) -> None:
    """Show one case with its facts."""
    answer = ask_or_fail("GET", f"/api/v1/cases/{require_id_or_fail(case_id, 'cas', as_json=as_json)}", as_user, as_json=as_json)
    if as_json:
        print_json(answer)
    else:
        _print_whole(answer)


@cases_app.command("close")
def close_case(
    case_id: CaseId,
    outcome: Annotated[
        Literal["corrected", "explained", "written_off", "duplicate"], typer.Option("--outcome", help="How it ended.")
    ],
    note: Annotated[str, typer.Option("--note", help="Why; no personal data.")] = "",
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Close a case in your name. A closed case stays closed."""
    path = f"/api/v1/cases/{require_id_or_fail(case_id, 'cas', as_json=as_json)}/close"
    answer = ask_or_fail("POST", path, as_user, as_json=as_json, json={"outcome": outcome, "note": note})
    if as_json:
        print_json(answer)
    else:
        _print_whole(answer)


def _print_whole(row: dict[str, Any]) -> None:
    print_case(row)
    for name, value in row["facts"].items():
        print_line(f"  {name}: {value}")
    print_line(f"  due: {row['due_at']}")
    if row["note"]:
        print_line(f"  note: {row['note']}")
