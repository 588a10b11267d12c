"""`features`: a customer's counts and sums, and the rebuild of all of them from events."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from domain.errors import InvalidInput, TellergateError
from serving.cli.calls import ask_as
from serving.cli.output import fail, print_json, print_line
from serving.cli.reconcile import AsUser, Json
from serving.settings import read_settings

features_app = typer.Typer(
    name="features", help="What rules know of the past: counts and sums, rebuildable.", no_args_is_help=True
)
_ADMIN = "kim"


@features_app.command("show")
def show(
    customer: Annotated[str, typer.Argument(help="The customer's id.")], as_user: AsUser = None, as_json: Json = False
) -> None:
    """Print what was executed for a customer, and how long one read of it takes."""
    if not customer.replace("_", "").replace("-", "").isalnum() or not customer.isascii():
        fail(InvalidInput("a customer's id is letters, digits, _ and -", code="invalid_id"), as_json=as_json)
    answer = _ask("GET", f"/api/v1/features/{customer}", as_user, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    for row in answer["items"]:
        print_line(f"{row['window']:>4}  {row['acts']} acts  {row['amount_minor']} {row['currency']} minor units")
    print_line(f"one read: {answer['read_p50_us']} us, {answer['read_p95_us']} us at the 95th percentile of {answer['reads']}")


@features_app.command("rebuild")
def rebuild(
    tenant: Annotated[str | None, typer.Option("--tenant", help="The workspace: the one that this machine serves.")] = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Drop the workspace's features and build them again from its events. Exit 1 when they were not what they should be."""
    if tenant is not None and tenant != (served := read_settings().tenant_id):
        # Never another one's features than those that were named.
        fail(InvalidInput(f"this machine serves {served!r}, not {tenant!r}", code="other_tenant"), as_json=as_json)
    answer = _ask("POST", "/api/v1/features/rebuild", as_user or _ADMIN, as_json=as_json)
    if as_json:
        print_json(answer)
    else:
        print_line(f"{answer['acts']} acts; before {answer['hash_before']}; after {answer['hash_after']}")
        print_line("equal" if answer["equal"] else "different: the features were wrong, and are right now")
    sys.exit(0 if answer["equal"] else 1)


def _ask(method: str, path: str, as_user: str | None, *, as_json: bool) -> dict[str, Any]:
    try:
        return ask_as(read_settings(), method, path, as_user)
    except TellergateError as error:
        fail(error, as_json=as_json)
