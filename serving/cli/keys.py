"""`keys`: the key of the tenant that wraps every customer's own."""

from __future__ import annotations

import typer

from domain.errors import TellergateError
from serving.cli.calls import ask_as
from serving.cli.output import fail, print_json, print_line, say
from serving.cli.reconcile import AsUser, Json
from serving.settings import read_settings

keys_app = typer.Typer(name="keys", help="The vault's key: rotate it, while everything goes on.", no_args_is_help=True)
_PATH = "/api/v1/vault/key-rotation"


@keys_app.command("rotate")
def rotate(as_user: AsUser = None, as_json: Json = False) -> None:
    """Wrap every customer's key under a new key of the tenant, as an administrator. Cut short, run it again: it goes on.

    Old versions of the key stay where they are: backups need them, and version 1 is the identity of every token.
    """
    settings = read_settings()
    rewrapped = 0
    try:
        step = ask_as(settings, "POST", _PATH, as_user, json={"continue": False})
        rewrapped += step["rewrapped"]
        # A step that moves nothing while keys wait leaves them to another rotation that holds them now.
        while step["remaining"] and step["rewrapped"]:
            say(f"version {step['to_version']}: {rewrapped} data keys moved, {step['remaining']} wait")
            step = ask_as(settings, "POST", _PATH, as_user, json={"continue": True})
            rewrapped += step["rewrapped"]
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json({"to_version": step["to_version"], "rewrapped": rewrapped, "remaining": step["remaining"]})
    elif step["remaining"]:
        print_line(f"rotating   version {step['to_version']}: {step['remaining']} data keys are with another rotation")
    else:
        print_line(f"rotated    version {step['to_version']} wraps every data key; {rewrapped} were moved")
        print_line("next       ./tellergate backup create: an older backup does not hold this version")
