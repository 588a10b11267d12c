"""Real processes: what dies comes back, what is stopped stays down, and nothing outlives its supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from serving.supervisor.parts import Part, PartSpec
from serving.supervisor.state import PartState

_NOW = datetime(2026, 5, 1, tzinfo=UTC)
_GUARDIAN = Path(__file__).resolve().parents[3] / "serving" / "supervisor" / "guardian.py"
_HANG_S = 20.0


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _HANG_S
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _part(folder: Path, code: str, *, is_ready: Callable[[], bool] = lambda: True, standard_input: bytes = b"") -> Part:
    spec = PartSpec(
        name="part",
        argv=(sys.executable, "-c", code),
        environment=dict(os.environ),
        log_file=folder / "part.log",
        is_ready=is_ready,
        standard_input=standard_input,
    )
    return Part(spec, now=_NOW)


def test_a_part_reads_its_configuration_from_standard_input_and_logs_to_its_file(tmp_path: Path) -> None:
    part = _part(
        tmp_path, "import sys; print(sys.stdin.read()); sys.stdout.flush(); import time; time.sleep(60)", standard_input=b"told"
    )
    part.start(_NOW)
    _wait_for(lambda: "told" in (tmp_path / "part.log").read_text())
    assert (tmp_path / "part.log").stat().st_mode & 0o777 == 0o600
    part.stop(_NOW, timeout_s=5)
    assert part.status.state is PartState.STOPPED
    assert part.status.pid is None


def test_what_dies_is_started_again_after_a_growing_wait(tmp_path: Path) -> None:
    part = _part(tmp_path, "raise SystemExit(3)")
    part.start(_NOW)
    _wait_for(lambda: part.status.pid is None)
    line = part.look(_NOW)
    assert line is not None
    assert "exit 3" in line
    assert part.status.state is PartState.RESTARTING
    assert part.look(_NOW + timedelta(seconds=0.1)) is None
    part.look(_NOW + timedelta(seconds=0.6))
    _wait_for(lambda: part.status.pid is None)
    second = part.look(_NOW + timedelta(seconds=1))
    assert second is not None
    assert "in 1 s" in second
    assert part.status.restarts == 2


def test_a_killed_part_is_ready_again(tmp_path: Path) -> None:
    part = _part(tmp_path, "import time; time.sleep(60)")
    part.start(_NOW)
    part.look(_NOW)
    first = part.status.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    _wait_for(lambda: part.status.pid is None)
    part.look(_NOW)
    part.look(_NOW + timedelta(seconds=1))
    assert part.look(_NOW + timedelta(seconds=1)) == "part: ready"
    assert part.status.pid not in (None, first)
    part.stop(_NOW, timeout_s=5)


def test_a_part_that_ignores_the_request_is_ended_all_the_same(tmp_path: Path) -> None:
    part = _part(tmp_path, "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)")
    part.start(_NOW)
    _wait_for(lambda: "deaf" in (tmp_path / "part.log").read_text())
    pid = part.status.pid
    assert pid is not None
    part.stop(_NOW, timeout_s=0.2)
    assert not _is_alive(pid)


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    """The supervisor here is a small program; its part starts a child of its own, as vLLM does."""
    child = f"import time, os; open({str(tmp_path / 'grandchild')!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    middle = (
        f"import subprocess, sys, time, os; open({str(tmp_path / 'child')!r}, 'w').write(str(os.getpid())); "
        f"subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(300)"
    )
    supervisor = (
        f"import subprocess, sys, time; "
        f"subprocess.Popen([sys.executable, '-P', {str(_GUARDIAN)!r}, sys.executable, '-c', {middle!r}]); "
        "time.sleep(300)"
    )
    process = subprocess.Popen([sys.executable, "-c", supervisor])
    files = [tmp_path / "child", tmp_path / "grandchild"]
    _wait_for(lambda: all(file.exists() and file.read_text() for file in files))
    pids = [int(file.read_text()) for file in files]
    assert all(map(_is_alive, pids))
    process.kill()
    process.wait()
    _wait_for(lambda: not any(map(_is_alive, pids)))
