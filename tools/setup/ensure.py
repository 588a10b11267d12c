"""Bring a checkout to what a command needs: only what is missing or stale, one process at a time, resumable anywhere."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.setup.failures import DiskFull, NotWritable, SetupError, explain_os_error
from tools.setup.place import Place
from tools.setup.report import Reporter
from tools.setup.table import Step

HALF_MADE_PATTERN = ".half-made-*"


def free_megabytes(folder: Path) -> int:
    """Return what the disk of a folder can still take. Units: MB of 10^6 bytes."""
    return shutil.disk_usage(folder).free // 1_000_000


def ensure(
    place: Place, steps: Sequence[Step], *, reporter: Reporter, measure_free_mb: Callable[[Path], int] = free_megabytes
) -> tuple[str, ...]:
    """Build the steps that are not current, in order; return the names of those built.

    Idempotency: a step is current only after its whole build, so a cut-off one is done again, and finished ones are not.
    Raises: SetupError with what happened and what to do; KeyboardInterrupt, leaving nothing half made in use.
    """
    if all(step.is_current() for step in steps):
        return ()
    with only_one_set_up(place, reporter):
        # What another set-up has built while we waited is not built again.
        pending = [step for step in steps if not step.is_current()]
        sweep_half_made(place)
        for position, step in enumerate(pending, start=1):
            check_space(step, measure_free_mb=measure_free_mb)
            with reporter.step(position=position, count=len(pending), title=step.title, made=step.made):
                build_step(place, step)
        return tuple(step.name for step in pending)


def build_step(place: Place, step: Step) -> None:
    """Build one step and hold it to its word. Raises: SetupError."""
    try:
        step.build()
    except OSError as error:
        raise explain_os_error(error, where=place.root) from error
    if not step.is_current():
        raise SetupError(f"The step '{step.title}' has run and its result is still not what it should be; see {place.logs}.")


def check_space(step: Step, *, measure_free_mb: Callable[[Path], int]) -> None:
    """Refuse a step that the disk cannot hold, before it writes anything. Raises: DiskFull."""
    folder = next(folder for folder in (step.made, *step.made.parents) if folder.is_dir())
    free_mb = measure_free_mb(folder)
    if free_mb < step.needs_mb:
        raise DiskFull(folder, needed_mb=step.needs_mb, free_mb=free_mb)


@contextmanager
def only_one_set_up(place: Place, reporter: Reporter) -> Iterator[None]:
    """Hold the checkout's set-up lock, waiting for another set-up of the same checkout. Raises: NotWritable, DiskFull."""
    if not os.access(place.root, os.W_OK):
        raise NotWritable(place.root)
    try:
        place.scratch.mkdir(parents=True, exist_ok=True)
        stream = (place.scratch / "lock").open("a", encoding="ascii")
    except OSError as error:
        raise explain_os_error(error, where=place.scratch) from error
    with stream:
        # The tools that we run inherit the lock: when we are killed, the next set-up waits until the last of them has ended.
        os.set_inheritable(stream.fileno(), True)  # noqa: FBT003
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reporter.say("Another set-up of this checkout is running; waiting for it.")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def sweep_half_made(place: Place) -> None:
    """Remove what a killed set-up left; nothing of it was ever in use."""
    for folder in (place.scratch, place.models, place.static_dist.parent):
        for left in folder.glob(HALF_MADE_PATTERN):
            shutil.rmtree(left, ignore_errors=True)
