"""Which steps there are, what each makes, and which command needs which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.setup import assets, models, python_env
from tools.setup.place import Place
from tools.setup.stamps import read_stamp

APP_LOCK = "app.lock"
DEV_LOCK = "dev.lock"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that must exist; `build` may be cut off anywhere and started again."""

    name: str
    title: str
    made: Path
    needs_mb: int
    is_current: Callable[[], bool]
    build: Callable[[], None]


MODEL_STEPS = ("vllm", "chat", "embedding")
ALL_STEPS = ("app", *MODEL_STEPS, "ner", "assets")
"""What the whole service needs, in the order of building."""

STEPS_OF_COMMAND: dict[str, tuple[str, ...]] = {
    "up": ALL_STEPS,
    "ask": ("app", "ner"),
    "mask": ("app", "ner"),
    "test": ("dev", *ALL_STEPS[1:]),
    "eval": ALL_STEPS,
    "bench": ALL_STEPS,
}
"""A command that is not listed needs the application's environment alone."""


def steps_for(arguments: Sequence[str], *, with_vllm: bool = True) -> tuple[str, ...]:
    """Return the names of the steps that a command line needs, in the order of building.

    `ask` answers by templates where no service runs, so it needs the model servers only where it is told to start them.
    """
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    if {"--help", "-h"} & set(arguments):
        return ("app",)
    wanted = set(STEPS_OF_COMMAND.get(command, ("app",)))
    if command == "ask" and "--with-model" in arguments:
        wanted.update(MODEL_STEPS)
    if not with_vllm:
        wanted.difference_update(MODEL_STEPS)
    return tuple(name for name in ("app", "dev", *ALL_STEPS[1:]) if name in wanted)


def find_steps(place: Place, names: Sequence[str]) -> tuple[Step, ...]:
    """Return the steps of these names for a checkout."""
    log = place.logs / "setup.log"
    steps = {step.name: step for step in (*_environment_steps(place, log), *_model_steps(place, log), _asset_step(place, log))}
    return tuple(steps[name] for name in names)


def _environment_steps(place: Place, log: Path) -> tuple[Step, ...]:
    app_lock, dev_lock = place.requirements / APP_LOCK, place.requirements / DEV_LOCK
    vllm_lock = place.requirements / f"vllm-{place.vllm_build}.lock"
    app, dev = {APP_LOCK: app_lock}, {APP_LOCK: app_lock, DEV_LOCK: dev_lock}
    vllm = {vllm_lock.name: vllm_lock}
    # The tests' environment holds the application's; a new application lock does not throw it back to the smaller one.
    locks = dev if DEV_LOCK in read_stamp(place.venv) else app
    install = dev_lock if locks is dev else app_lock
    return (
        Step(
            name="app",
            title="the application's Python environment: .venv",
            made=place.venv,
            needs_mb=1_500,
            is_current=lambda: python_env.is_current(place.venv, app),
            build=lambda: python_env.build_environment(
                place, place.venv, locks, install=install, with_uv=True, what="the application's packages", log=log
            ),
        ),
        Step(
            name="dev",
            title="the application's Python environment with what the tests need: .venv",
            made=place.venv,
            needs_mb=1_700,
            is_current=lambda: python_env.is_current(place.venv, dev),
            build=lambda: python_env.build_environment(
                place, place.venv, dev, install=dev_lock, with_uv=True, what="the tests' packages", log=log
            ),
        ),
        Step(
            name="vllm",
            title=f"vLLM's own Python environment, {place.vllm_build} build: .venv-vllm",
            made=place.venv_vllm,
            needs_mb=3_500 if place.vllm_build == "cpu" else 15_000,
            is_current=lambda: python_env.is_current(place.venv_vllm, vllm),
            build=lambda: python_env.build_environment(
                place, place.venv_vllm, vllm, install=vllm_lock, with_uv=False, what="vLLM's packages", log=log
            ),
        ),
    )


def _model_steps(place: Place, log: Path) -> tuple[Step, ...]:
    titles = {
        "chat": ("the starter chat model, converted for vLLM", 700),
        "embedding": ("the embedding model", 300),
        "ner": ("the model that finds names and numbers to mask, re-quantized", 200),
    }

    def make(kind: str) -> Step:
        title, needs_mb = titles[kind]
        return Step(
            name=kind,
            title=f"{title}: {place.models / kind}",
            made=place.models / kind,
            needs_mb=needs_mb,
            is_current=lambda: models.is_current(place, kind),
            build=lambda: models.install_model(place, kind, log=log),
        )

    return tuple(make(kind) for kind in titles)


def _asset_step(place: Place, log: Path) -> Step:
    return Step(
        name="assets",
        title="the console's scripts, fonts and styles: static/dist",
        made=place.static_dist,
        needs_mb=300,
        is_current=lambda: assets.is_current(place),
        build=lambda: assets.build_assets(place, log=log),
    )
