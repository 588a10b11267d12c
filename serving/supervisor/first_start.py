"""The first start: the demo tenant comes in, in a process of its own that holds the jobs process's passwords and no more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from domain.errors import SetupError
from serving.settings import ROOT_DIR, Settings, make_child_environment
from serving.supervisor.guardian import die_with_parent
from serving.supervisor.plan import plan_first_load
from storage.server_address import ServerAddress


def load_first_data(
    settings: Settings, address: ServerAddress, *, socket_dir: Path, artifacts: Mapping[str, str], say: Callable[[str], None]
) -> None:
    """Load the demo tenant unless it is there. Interrupted: the next start goes on. Raises: SetupError."""
    if settings.mode != "demo":
        return
    config = plan_first_load(settings, socket_dir=socket_dir, database=address, artifacts=artifacts)
    process = subprocess.Popen(
        (sys.executable, "-m", "serving.processes.first_load"),
        env=make_child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT_DIR,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - the supervisor has one thread
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(config.model_dump_json())
        process.stdin.close()
        said = [line.rstrip() for line in process.stdout]
        status = process.wait()
    finally:
        process.kill()
        process.wait()
    if status != 0:
        raise SetupError("the demo tenant could not be loaded:\n" + "\n".join(said[-15:]), code="demo_not_loaded")
    for line in said:
        say(f"demo: {line}")
