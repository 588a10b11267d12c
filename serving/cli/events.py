"""`events`: the log of placed events on standard output, one a line, each once, in its order; `--follow` goes on."""

from __future__ import annotations

import json
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict

from domain.errors import BrokenInvariant, InvalidInput, TellergateError, Unavailable
from serving.cli.arguments import require_printable
from serving.cli.client import ApiClient, ApiProblem
from serving.cli.output import fail, say
from serving.settings import Settings, read_settings

DEFAULT_USERNAME = "ira"
_WAIT_S = 3
_MAX_POSITION = 2**53 - 1
_TRY_AGAIN_S = 0.5
_TRY_AGAIN_AT_MOST_S = 30.0

Write = Callable[[Mapping[str, Any]], None]


class EventsOrder(BaseModel):
    """Hold what to read: after which position (-1: all), of which types, and whether to go on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: int
    type_prefix: str
    follow: bool
    username: str | None


class LogOutOfOrder(BrokenInvariant):
    """Say that the service gave a position that it had given before, or out of order."""

    code = "log_out_of_order"


def read_order(*, after: str | None, type_prefix: str | None, follow: bool, username: str | None) -> EventsOrder:
    """Check what was typed. Raises: InvalidInput that names the option."""
    cursor = after if after is not None else "-1"
    if not (cursor == "-1" or (cursor.isascii() and cursor.isdigit() and len(cursor) <= 16 and int(cursor) <= _MAX_POSITION)):
        raise InvalidInput(
            f"--after must be a position of the log, 0 to {_MAX_POSITION}, or -1 for all of it", code="invalid_cursor"
        )
    prefix = type_prefix or ""
    if len(prefix) > 100 or not all(character in "abcdefghijklmnopqrstuvwxyz_." for character in prefix):
        raise InvalidInput(
            "--type must be the beginning of an event's type, such as ledger. or gate.decided", code="invalid_type"
        )
    name = None if username is None else require_printable("--as", username)
    return EventsOrder(after=int(cursor), type_prefix=prefix, follow=follow, username=name)


def run_events(settings: Settings, order: EventsOrder, *, write: Write) -> None:
    """Read the log and hand each event on as a line. Raises: TellergateError; KeyboardInterrupt when it is to stop."""
    client = ApiClient(settings)
    client.sign_in(order.username or DEFAULT_USERNAME, must_be=order.username)
    seen = order.after
    for page in _pages(client, order):
        for event in page["items"]:
            if event["position"] <= seen:
                raise LogOutOfOrder(f"position {event['position']} came after {seen}")
            seen = event["position"]
            write(event)


def events(
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes next, until Ctrl-C.")] = False,
    as_jsonl: Annotated[
        bool, typer.Option("--jsonl", help="One JSON object a line: CloudEvents attributes, ours, position.")
    ] = False,
    after: Annotated[
        str | None, typer.Option("--after", help="The last position that you have; all of the log without it.")
    ] = None,
    type_prefix: Annotated[str | None, typer.Option("--type", help="The beginning of the type, such as ledger.")] = None,
    as_user: Annotated[str | None, typer.Option("--as", help="Who asks: an auditor or an admin.")] = None,
) -> None:
    """Print the log of events in its order, each one once."""
    try:
        order = read_order(after=after, type_prefix=type_prefix, follow=follow, username=as_user)
        print_events(read_settings(), order, as_jsonl=as_jsonl)
    except TellergateError as error:
        # Standard output holds events and nothing else.
        fail(error, as_json=False)


def print_events(settings: Settings, order: EventsOrder, *, as_jsonl: bool) -> None:
    """Print the events until there are no more, until Ctrl-C, or until nobody reads them: all three are a good end."""
    try:
        try:
            if order.follow:
                _end_with_reader()
            run_events(settings, order, write=_write_jsonl if as_jsonl else _write_text)
        except KeyboardInterrupt:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered would raise again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _pages(client: ApiClient, order: EventsOrder) -> Iterator[Mapping[str, Any]]:
    after, waits = order.after, Waits()
    while True:
        query = {"after": after, "type": order.type_prefix, "wait_s": _WAIT_S if order.follow else 0}
        try:
            page = client.call("GET", "/api/v1/events", params=query)
        except (Unavailable, ApiProblem) as error:
            # What fails at once was never right; what fails later passes.
            if not (order.follow and waits.had_success and _passes(error)):
                raise
            say(f"interrupted: {error.message}; going on as soon as the service answers")
            _reconnect(client, order, waits)
            continue
        waits.succeed()
        yield page
        after = page["next_after"]
        if not order.follow and after >= page["last_position"]:
            return


class Waits:
    """Wait longer from failure to failure, up to half a minute, until something succeeds."""

    def __init__(self) -> None:
        self.had_success = False
        self._next_s = _TRY_AGAIN_S

    def succeed(self) -> None:
        """Begin anew with the next failure."""
        self.had_success, self._next_s = True, _TRY_AGAIN_S

    def wait(self) -> None:
        """Wait."""
        time.sleep(self._next_s)
        self._next_s = min(2 * self._next_s, _TRY_AGAIN_AT_MOST_S)


def _passes(error: Unavailable | ApiProblem) -> bool:
    return isinstance(error, Unavailable) or error.status == HTTPStatus.UNAUTHORIZED or error.status >= 500


def _reconnect(client: ApiClient, order: EventsOrder, waits: Waits) -> None:
    """Wait until the service answers again; a session that ended meanwhile is opened anew, where that can be done."""
    while True:
        waits.wait()
        try:
            client.sign_in(order.username or DEFAULT_USERNAME, must_be=order.username)
        except (Unavailable, ApiProblem) as error:
            if not _passes(error):
                raise
        else:
            say("connected again")
            return


def _write_jsonl(event: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _write_text(event: Mapping[str, Any]) -> None:
    amount = "" if event["amount_minor"] is None else f"  {event['amount_minor']} {event['currency']} minor units"
    sys.stdout.write(f"{event['position']:>8}  {event['time']}  {event['type']:<28}  {event['subject']}{amount}\n")
    sys.stdout.flush()


def _end_with_reader() -> None:
    """End as soon as the other end of a pipe is closed, and not only when the next event is written to it.

    Nothing is left to write and nothing was changed, so the process ends where it stands: an exception sent to the
    main thread could reach it while it ends by itself, and make an error of a good end.
    """
    watched = select.poll()
    watched.register(sys.stdout.fileno(), 0)

    def watch() -> None:
        while True:
            for _, happened in watched.poll():
                if happened & select.POLLERR:
                    os._exit(0)
                # A file or a terminal never says so.
                if happened & (select.POLLNVAL | select.POLLHUP):
                    return

    threading.Thread(target=watch, daemon=True).start()
