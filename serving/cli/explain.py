"""`explain`: the whole story of a decision in plain sentences."""

from __future__ import annotations

from typing import Annotated

import typer

from domain.errors import TellergateError
from domain.ids import require_id
from serving.cli.calls import ask_as
from serving.cli.output import fail, print_json, print_line
from serving.settings import read_settings


def explain(
    decision: Annotated[str, typer.Argument(help="dec_…")],
    as_user: Annotated[str | None, typer.Option("--as", help="Who asks. The token comes from TELLERGATE_TOKEN.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell a decision's whole story: message, prompt, proposal, origins, facts, reasons, approvals, what was done."""
    try:
        path = f"/api/v1/decisions/{require_id(decision, 'dec')}/explanation"
        answer = ask_as(read_settings(), "GET", path, as_user)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    for line in answer["lines"]:
        print_line(line)
