"""The state of the parts, on disk for whoever asks (`doctor`, the console's banner)."""

from __future__ import annotations

import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

STATE_FILE = "state.json"


class PartState(StrEnum):
    """Name where a part is in its life."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    OFF = "off"
    STOPPED = "stopped"
    REFUSED = "refused"


class PartStatus(BaseModel):
    """Hold what is known of one part."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: PartState
    pid: int | None
    restarts: int
    since: datetime


class MachineState(BaseModel):
    """Hold the state of all parts of one running service."""

    model_config = ConfigDict(frozen=True)

    supervisor_pid: int
    supervisor_start_ticks: int
    """When it started, in clock ticks since the machine's: a process id alone may be another program's by now."""
    url: str
    parts: tuple[PartStatus, ...]


def write_state(run_dir: Path, state: MachineState) -> None:
    """Replace the state file whole."""
    draft = run_dir / f".{STATE_FILE}.{os.getpid()}"
    draft.write_text(state.model_dump_json(indent=1), encoding="utf-8")
    draft.replace(run_dir / STATE_FILE)


def read_state(run_dir: Path) -> MachineState | None:
    """Return the last written state, or None if there is none or its supervisor is gone."""
    try:
        state = MachineState.model_validate_json((run_dir / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if read_start_ticks(state.supervisor_pid) == state.supervisor_start_ticks else None


def read_start_ticks(pid: int) -> int | None:
    """Return when a process started, None where there is none. Source: proc(5), field 22 of stat."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
