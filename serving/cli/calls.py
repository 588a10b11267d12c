"""One call of the service for a command, and what every command does when it cannot be made."""

from __future__ import annotations

from typing import Any

from domain.errors import TellergateError
from domain.ids import Prefix, require_id
from serving.cli.arguments import require_printable
from serving.cli.client import ApiClient
from serving.cli.output import fail
from serving.settings import Settings, read_settings

DEFAULT_USERNAME = "kim"


def ask_as(settings: Settings, method: str, path: str, as_user: str | None, **options: Any) -> dict[str, Any]:
    """Make one call as this person. Raises: TellergateError."""
    username = None if as_user is None else require_printable("--as", as_user)
    client = ApiClient(settings)
    client.sign_in(username or DEFAULT_USERNAME, must_be=username)
    answer: dict[str, Any] = client.call(method, path, **options)
    return answer


def ask_or_fail(method: str, path: str, as_user: str | None, *, as_json: bool, **options: Any) -> dict[str, Any]:
    """Make one call as this person; what goes wrong is told and ends the command."""
    try:
        return ask_as(read_settings(), method, path, as_user, **options)
    except TellergateError as error:
        fail(error, as_json=as_json)


def require_id_or_fail(value: str, prefix: Prefix, *, as_json: bool) -> str:
    """Return an id of this kind; anything else is told and ends the command."""
    try:
        return require_id(value, prefix)
    except TellergateError as error:
        fail(error, as_json=as_json)
