"""`freeze` and `thaw`: stop every execution at once, and let it go on by a second person."""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

import typer

from domain.errors import InvalidInput, TellergateError
from domain.ids import require_id
from serving.cli.calls import ask_or_fail
from serving.cli.output import fail, print_json, print_line
from serving.cli.reconcile import AsUser, Json

freeze_app = typer.Typer(
    name="freeze", help="Stop every execution at once, approved acts too.", invoke_without_command=True, no_args_is_help=True
)


@freeze_app.callback()
def freeze(
    context: typer.Context,
    tenant: Annotated[bool, typer.Option("--tenant", help="Everything of the workspace.")] = False,
    kind: Annotated[str | None, typer.Option("--kind", help="One kind of act: refund, payment, …")] = None,
    operator: Annotated[str | None, typer.Option("--operator", help="What this operator asked for: opr_…")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "",
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Stop every execution of the workspace, of a kind, or of an operator. What is frozen already stays so."""
    if context.invoked_subcommand is not None:
        return
    named = [(scope, subject) for scope, subject in (("kind", kind), ("operator", operator)) if subject is not None]
    named += [("tenant", "")] if tenant else []
    if len(named) != 1:
        _refuse("name exactly one of --tenant, --kind, --operator", as_json=as_json)
    if not reason.strip():
        _refuse("say why with --reason", as_json=as_json)
    scope, subject = named[0]
    body = {"scope": scope, "subject": subject, "reason": reason}
    _show(ask_or_fail("POST", "/api/v1/freezes", as_user, as_json=as_json, json=body), as_json=as_json)


@freeze_app.command("list")
def list_freezes(
    every: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False, as_user: AsUser = None, as_json: Json = False
) -> None:
    """List the freezes that stand."""
    params = {"state": "all" if every else "standing"}
    answer = ask_or_fail("GET", "/api/v1/freezes", as_user, as_json=as_json, params=params)
    if as_json:
        print_json(answer)
        return
    for row in answer["items"]:
        _show(row, as_json=False)
    if not answer["items"]:
        print_line("nothing is frozen")


def thaw(
    freeze_id: Annotated[str, typer.Argument(help="frz_…")],
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """End one freeze. Whoever made it cannot; what it stopped is not executed by this."""
    try:
        wanted = require_id(freeze_id, "frz")
    except TellergateError as error:
        fail(error, as_json=as_json)
    _show(ask_or_fail("POST", f"/api/v1/freezes/{wanted}/thaw", as_user, as_json=as_json), as_json=as_json)


def _refuse(words: str, *, as_json: bool) -> NoReturn:
    fail(InvalidInput(words), as_json=as_json)


def _show(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    what = " ".join(part for part in (row["scope"], row["subject"]) if part)
    print_line(f"{row['freeze_id']}  {what}  frozen by {row['frozen_by']} at {row['frozen_at']}: {row['reason']}")
    if row["thawed_at"]:
        print_line(f"  thawed by {row['thawed_by']} at {row['thawed_at']}")
