"""How the CLI speaks: results on standard output, everything else on standard error, stable exit codes.

0 done; 1 the service or the machine says no; 2 the input is wrong.
"""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

from rich.console import Console

from domain.errors import InvalidInput, TellergateError
from serving.cli.client import ApiProblem

# An account such as `house:bank:EUR` is no emoji.
_errors = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def say(line: str) -> None:
    """Print progress where it can't disturb a pipe."""
    _errors.print(line, markup=False)


def print_line(line: str) -> None:
    """Print one line of the answer for people on standard output, as it is."""
    Console(highlight=False, soft_wrap=True, emoji=False).print(line, markup=False)


def print_json(value: Any) -> None:
    """Print one JSON object on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def fail(error: TellergateError, *, as_json: bool) -> NoReturn:
    """Say what went wrong and end: 2 for wrong input, 1 for everything else."""
    wrong_input = isinstance(error, InvalidInput) or (isinstance(error, ApiProblem) and 400 <= error.status < 500)
    if as_json:
        problem = error.problem if isinstance(error, ApiProblem) else {"code": error.code, "detail": error.message}
        print_json({"error": problem})
    else:
        _errors.print(f"error: {error.message} [{error.code}]", markup=False, style="red")
    sys.exit(2 if wrong_input else 1)
