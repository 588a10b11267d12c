"""`reveals`: who was shown what, and whether anybody touched that record since."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from domain.errors import TellergateError
from serving.cli.calls import ask_as
from serving.cli.output import fail, print_json, print_line
from serving.cli.reconcile import AsUser, Json
from serving.settings import read_settings

reveals_app = typer.Typer(name="reveals", help="Who was shown which customer's values, and why.", no_args_is_help=True)


@reveals_app.command("list")
def list_reveals(
    subject: Annotated[str | None, typer.Option("--subject", help="Only this customer's.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only what this person or part was shown.")] = None,
    before: Annotated[str | None, typer.Option("--before", help="What the page before said, to read on.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many at most.")] = 50,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """List audit rows, the newest first. As auditor or administrator."""
    asked = {"subject_id": subject, "actor": actor, "before": before, "limit": limit}
    params = {name: value for name, value in asked.items() if value is not None}
    answer = _ask("/api/v1/vault/reveals", as_user, as_json=as_json, params=params)
    if as_json:
        print_json(answer)
        return
    for row in answer["items"]:
        what = row["token"] or "everything, to mask with"
        why = f"{row['actor']}  {row['purpose']}  {row['subject_id']}"
        print_line(f"{row['position']:>8}  {row['revealed_at']}  {why}  {what}  {row['shown']}")
    if not answer["items"]:
        print_line("no reveal")
    if answer["next_before"] is not None:
        print_line(f"more       --before {answer['next_before']}")


@reveals_app.command("verify")
def verify_reveals(as_user: AsUser = None, as_json: Json = False) -> None:
    """Walk the chain of audit rows. Ends with 1 when a row was changed, added or taken away. As auditor or administrator."""
    answer = _ask("/api/v1/vault/reveals/verification", as_user, as_json=as_json)
    if as_json:
        print_json(answer)
    elif answer["holds"]:
        print_line(f"holds      {answer['links']} links with {answer['rows']} rows, none touched")
    else:
        print_line(
            f"broken     link {answer['first_broken']} does not hold: rows were changed, added or taken away from there on"
        )
    if not answer["holds"]:
        sys.exit(1)


def _ask(path: str, as_user: str | None, *, as_json: bool, **options: Any) -> dict[str, Any]:
    try:
        return ask_as(read_settings(), "GET", path, as_user, **options)
    except TellergateError as error:
        fail(error, as_json=as_json)
