"""Is a service running? A file that a killed one left, or that came from another machine, must not say so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from serving.supervisor.state import STATE_FILE, MachineState, read_start_ticks, read_state, write_state


def _state(pid: int, start_ticks: int) -> MachineState:
    return MachineState(supervisor_pid=pid, supervisor_start_ticks=start_ticks, url="http://127.0.0.1:1", parts=())


def test_a_running_one_is_found(tmp_path: Path) -> None:
    own = read_start_ticks(os.getpid())
    assert own is not None
    write_state(tmp_path, _state(os.getpid(), own))
    assert read_state(tmp_path) is not None


def test_the_same_process_id_of_another_program_is_none(tmp_path: Path) -> None:
    own = read_start_ticks(os.getpid())
    assert own is not None
    write_state(tmp_path, _state(os.getpid(), own - 1))
    assert read_state(tmp_path) is None


def test_a_process_that_ended_is_none(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    write_state(tmp_path, _state(ended.pid, 1))
    assert read_start_ticks(ended.pid) is None
    assert read_state(tmp_path) is None


def test_a_damaged_file_is_none(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"supervisor_pid": 1}', "\x00"):
        (tmp_path / STATE_FILE).write_text(text)
        assert read_state(tmp_path) is None
    (tmp_path / STATE_FILE).write_bytes(b"\xff\xfe")
    assert read_state(tmp_path) is None
