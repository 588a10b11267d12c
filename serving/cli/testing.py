"""`test`: the checks, then pytest; what CI runs and what a developer runs. `bench`: one benchmark."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from domain.errors import NotFound
from serving.cli.browser import ensure_browser
from serving.cli.output import say
from serving.settings import ROOT_DIR

SQL_FOLDERS = ("agents", "bench", "gates", "ledger", "masking", "retrieval", "serving", "storage")
CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("format", ("-m", "ruff", "format", "--check", ".")),
    ("lint", ("-m", "ruff", "check", ".")),
    ("house rules", ("-m", "tools.lint_rules")),
    ("arrows", ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")),
    ("types", ("-m", "mypy", ".")),
    ("SQL", ("-m", "sqlfluff", "lint", "--disable-progress-bar", "-q", *SQL_FOLDERS)),
)


def run_tests(arguments: Sequence[str]) -> int:
    """Return 0 when everything holds. With arguments: pytest alone, with them. Raises: SetupError without a browser."""
    if arguments:
        return _run(("-m", "pytest", *arguments))
    ensure_browser()
    failed = [name for name, command in CHECKS if not _check(name, command)]
    # Two at a time for what is small; what starts whole services and models has the machine to itself.
    small = _run(("-m", "pytest", "-m", "not slow", "-n", "2", "--dist", "loadfile"))
    whole = _run(("-m", "pytest", "-m", "slow"))
    status = small or whole
    if failed:
        say(f"failed checks: {', '.join(failed)}")
    return status or (1 if failed else 0)


def run_bench(name: str, arguments: Sequence[str]) -> int:
    """Run one benchmark of `bench/`. Raises: NotFound for a name that is none."""
    folder = ROOT_DIR / "bench"
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__", "report"}
    known = sorted(modules | {file.parent.name for file in folder.glob("*/__main__.py")})
    if name not in known:
        raise NotFound(f"there is no benchmark {name!r}: {', '.join(known)}", code="unknown_bench")
    return _run(("-m", f"bench.{name}", *arguments))


def _check(name: str, command: tuple[str, ...]) -> bool:
    started = time.monotonic()
    status = _run(command)
    say(f"{name}: {'ok' if status == 0 else 'FAILED'} ({time.monotonic() - started:.0f} s)")
    return status == 0


def _run(command: tuple[str, ...]) -> int:
    sys.stdout.flush()
    return subprocess.run((sys.executable, *command), cwd=ROOT_DIR, check=False).returncode
