"""`digest`: what was paid on a day."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import typer

from domain.errors import InvalidInput, TellergateError
from domain.money import Money, render_money
from serving.cli.calls import ask_as
from serving.cli.output import fail, print_json, print_line
from serving.cli.reconcile import AsUser, Json
from serving.settings import read_settings

_COUNTS = (
    ("proposed_by", "proposed by"),
    ("approved_by", "approved by"),
    ("decisions", "decisions"),
    ("holds", "holds placed, as they stand now"),
    ("incidents", "incidents opened"),
)


def digest(
    day: Annotated[str | None, typer.Option("--day", help="YYYY-MM-DD in UTC; today without it.")] = None,
    as_user: AsUser = None,
    as_json: Json = False,
) -> None:
    """Print what was executed on a day, by kind and currency."""
    try:
        params = {} if day is None else {"day": _require_day(day)}
        answer: dict[str, Any] = ask_as(read_settings(), "GET", "/api/v1/digest", as_user, params=params)
    except TellergateError as error:
        fail(error, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    print_line(f"executed on {answer['day']} (UTC)")
    for line in answer["lines"]:
        print_line(f"  {line['action_kind']}: {line['acts']}{_sum(line)}")
    if not answer["lines"]:
        print_line("  nothing")
    for name, label in _COUNTS:
        if answer[name]:
            print_line(f"{label}: {', '.join(f'{key} {count}' for key, count in answer[name].items())}")
    if answer["freezes_made"] or answer["freezes_ended"]:
        print_line(f"freezes: {answer['freezes_made']} made, {answer['freezes_ended']} ended")


def _sum(line: dict[str, Any]) -> str:
    if line["currency"] == "XXX":
        return ""
    total, largest = (render_money(Money(line[name], line["currency"])) for name in ("amount_minor", "largest_minor"))
    return f", {total} in all, the largest {largest}"


def _require_day(day: str) -> str:
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError:
        raise InvalidInput(f"--day {day!r} is no day: write YYYY-MM-DD") from None
