"""Run the tools that set-up needs (pip, uv, npm, converters), keep what they print, and name their failures."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.setup.failures import explain_output

# A parent's interpreter settings must not leak into another environment's interpreter.
_NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


def run_tool(what: str, argv: Sequence[str | Path], *, log: Path, cwd: Path, env: Mapping[str, str] | None = None) -> None:
    """Run one tool to its end, its output appended to the log.

    Raises: SetupError, named after what the tool printed; KeyboardInterrupt after the tool has ended.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    environment.update(env or {})
    command = [str(word) for word in argv]
    with log.open("a+", encoding="utf-8", errors="replace") as stream:
        stream.write(f"$ {' '.join(command)}\n")
        stream.flush()
        start = stream.tell()
        # close_fds would take the set-up lock away from the tool; Python's own descriptors are not inherited anyway.
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, env=environment, cwd=cwd, close_fds=False
        )
        try:
            status = child.wait()
        except BaseException:
            # Ctrl-C reaches the whole group; a child that ignores it must not outlive us.
            child.terminate()
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            raise
        if status != 0:
            stream.seek(start)
            raise explain_output(what, output=stream.read(), status=status, log=log, where=cwd)
