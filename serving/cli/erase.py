"""`erase-subject`: a customer's values can be read nowhere any more."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from domain.errors import InvalidInput, TellergateError
from serving.cli.arguments import require_printable
from serving.cli.calls import ask_as
from serving.cli.output import fail, print_json, print_line
from serving.cli.reconcile import AsUser, Json
from serving.settings import read_settings


def erase_subject(
    subject: Annotated[str, typer.Argument(help="The customer's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stays, so no personal data.")],
    as_user: AsUser = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask back.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a customer, as an administrator: his data key goes, decisions and receipts stay. There is no way back."""
    try:
        asked = {"subject_id": require_printable("SUBJECT", subject), "reason": require_printable("--reason", reason)}
        if not yes:
            _ask_back(subject)
        answer = ask_as(read_settings(), "POST", "/api/v1/vault/erasures", as_user, json=asked)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    when = "was erased" if answer["already_erased"] else "is erased"
    print_line(f"erased     {answer['subject_id']} {when}, {answer['erased_at']} by {answer['erased_by']}")
    print_line(f"           {answer['values_erased']} values and {answer['surfaces_erased']} written forms are gone")


def _ask_back(subject: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput("erasing has no way back: say --yes where nobody can be asked", code="not_confirmed")
    if not typer.confirm(f"Erase {subject}? There is no way back", err=True):
        raise InvalidInput("nothing was erased", code="not_confirmed")
