"""The launcher's work once it runs on Python 3.11: set up what the command line needs, then become the application."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tools.setup.ensure import ensure
from tools.setup.failures import SetupError
from tools.setup.place import Place, VllmBuild, python_of
from tools.setup.report import Reporter
from tools.setup.table import ALL_STEPS, find_steps, steps_for

SETUP_USAGE = """usage: ./tellergate setup [--with-vllm | --no-vllm] [--dev]

Makes what the service needs and starts nothing. Every other command does the same for what it needs itself.

  --no-vllm    without vLLM and its models: templates answer, or a model server of yours
  --with-vllm  with them, whatever TELLERGATE_VLLM says (the CPU build, if it says none)
  --dev        with what the tests need

TELLERGATE_VLLM=cpu|gpu|none chooses the build of vLLM for every command (cpu when unset); TELLERGATE_VAR_DIR the folder for
data and models (var when unset)."""

_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})


@dataclass(frozen=True, slots=True)
class Choices:
    """What the environment says about set-up; read here, before a settings library exists; serving/settings.py reads the rest."""

    var: Path
    vllm_build: VllmBuild


def read_choices(root: Path, environment: Mapping[str, str]) -> Choices:
    """Read TELLERGATE_VLLM, TELLERGATE_WITH_MODEL and TELLERGATE_VAR_DIR. Raises: SetupError that names a wrong one."""
    var = root / (environment.get("TELLERGATE_VAR_DIR") or "var")
    asked = (environment.get("TELLERGATE_VLLM") or "cpu").strip().lower()
    if asked not in ("cpu", "gpu", "none"):
        raise SetupError(f"TELLERGATE_VLLM is {asked!r}. Set it to cpu, gpu or none, or unset it for cpu.")
    build: VllmBuild = "gpu" if asked == "gpu" else "cpu" if asked == "cpu" else "none"
    if environment.get("TELLERGATE_WITH_MODEL", "").strip().lower() in _FALSE:
        build = "none"
    return Choices(var=var, vllm_build=build)


def main(root: Path, arguments: Sequence[str]) -> NoReturn:
    """Set up what the arguments need, then replace this process by the application's."""
    reporter = Reporter()
    try:
        choices = read_choices(root, os.environ)
        if arguments[:1] == ["setup"]:
            sys.exit(run_setup(root, choices, arguments[1:], reporter))
        place = Place(root=root, var=choices.var, vllm_build=choices.vllm_build)
        names = steps_for(arguments, with_vllm=choices.vllm_build != "none")
        ensure(place, find_steps(place, names), reporter=reporter)
    except SetupError as error:
        reporter.say(f"\nSet-up stopped: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        reporter.say("\nSet-up stopped by Ctrl-C. Nothing half-made is used; the same command started again goes on from here.")
        sys.exit(130)
    become_application(place, arguments)


def run_setup(root: Path, choices: Choices, options: Sequence[str], reporter: Reporter) -> int:
    """Do set-up only; return the exit status. Raises: SetupError."""
    if {"--help", "-h"} & set(options):
        reporter.say(SETUP_USAGE)
        return 0
    unknown = [option for option in options if option not in ("--with-vllm", "--no-vllm", "--dev")]
    if unknown or {"--with-vllm", "--no-vllm"} <= set(options):
        wrong = f"unknown: {' '.join(unknown)}" if unknown else "--with-vllm and --no-vllm exclude each other"
        reporter.say(f"./tellergate setup: {wrong}\n\n{SETUP_USAGE}")
        return 2
    build = choices.vllm_build
    if "--no-vllm" in options:
        build = "none"
    elif "--with-vllm" in options and build == "none":
        build = "cpu"
    place = Place(root=root, var=choices.var, vllm_build=build)
    environment = "dev" if "--dev" in options else "app"
    names = (environment, *(name for name in ALL_STEPS[1:] if build != "none" or name not in ("vllm", "chat", "embedding")))
    built = ensure(place, find_steps(place, names), reporter=reporter)
    reporter.say("Set up." if built else "Everything is there already.")
    return 0


def become_application(place: Place, arguments: Sequence[str]) -> NoReturn:
    """Run the CLI in the application's environment.

    The working directory stays the caller's, so that relative file names mean what he typed; it is kept off Python's path, where
    the checkout stands instead.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "VIRTUAL_ENV")}
    environment.update({"PYTHONPATH": str(place.root), "PYTHONSAFEPATH": "1"})
    python = str(python_of(place.venv))
    os.execve(python, [python, "-m", "serving.cli", *arguments], environment)
