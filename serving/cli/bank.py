"""`bank`: what was sent to the bank, what it said, and what waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from domain.errors import TellergateError
from domain.ids import require_id
from serving.cli.arguments import require_printable
from serving.cli.client import ApiClient
from serving.cli.output import fail, print_json, print_line
from serving.settings import read_settings

DEFAULT_USERNAME = "ira"
State = Literal["pending", "sent", "failed"]

bank_app = typer.Typer(name="bank", help="What was sent to the bank, what it said, what waits.", no_args_is_help=True)
AsUser = Annotated[str | None, typer.Option("--as", help="Who asks. The token comes from TELLERGATE_TOKEN; the demo needs none.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@bank_app.command("status")
def show_status(as_user: AsUser = None, as_json: Json = False) -> None:
    """Say how the bank is reached, what fails, and how many instructions are not settled."""
    answer = _ask("/api/v1/bank/status", {}, as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    faults = f" ({', '.join(answer['faults'])})" if answer["faults"] else ""
    print_line(f"relay {answer['relay']}, by {answer['adapter'] or 'unknown'}{faults}")
    for state in answer["states"]:
        print_line(f"  {state['state']}: {state['count']}, oldest of {state['oldest_created_at']}")
    if not answer["states"]:
        print_line("  nothing waits and nothing failed")


@bank_app.command("instructions")
def list_instructions(
    state: Annotated[State, typer.Option("--state", help="In which state.")] = "failed",
    after: Annotated[str | None, typer.Option("--after", help="The last instruction of the page before.")] = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """List instructions that are not settled, oldest first."""
    query = {"state": state} if after is None else {"state": state, "after": after}
    answer = _ask("/api/v1/bank/instructions", query, as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    for row in answer["items"]:
        _print_row(row)
    if answer["next_after"]:
        print_line(f"more: --after {answer['next_after']}")


@bank_app.command("show")
def show_instruction(
    instruction_id: Annotated[str, typer.Argument(help="ins_…")], as_user: AsUser = None, as_json: Json = False
) -> None:
    """Show one instruction with all that the bank said of it."""
    try:
        wanted = require_id(instruction_id, "ins")
    except TellergateError as error:
        fail(error, as_json=as_json)
    answer = _ask(f"/api/v1/bank/instructions/{wanted}", {}, as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    _print_row(answer)
    for said in answer["acknowledgements"]:
        reason = f" ({said['reason_code']})" if said["reason_code"] else ""
        print_line(f"  {said['received_at']}  {said['status']}{reason} by {said['channel']}: {said['effect']}")


def _ask(path: str, query: Mapping[str, str], as_user: str | None, *, as_json: bool) -> dict[str, Any]:
    try:
        username = None if as_user is None else require_printable("--as", as_user)
        client = ApiClient(read_settings())
        client.sign_in(username or DEFAULT_USERNAME, must_be=username)
        answer: dict[str, Any] = client.call("GET", path, params=dict(query))
    except TellergateError as error:
        fail(error, as_json=as_json)
    return answer


def _print_row(row: Mapping[str, Any]) -> None:
    amount = "" if row["amount_minor"] is None else f"  {row['amount_minor']} {row['currency']} minor units"
    failure = f" ({row['failure']})" if row["failure"] else ""
    print_line(f"{row['instruction_id']}  {row['kind']}  {row['state']}{failure}{amount}  {row['reference']}")
