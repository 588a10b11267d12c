"""The state of the parts, on disk for whoever asks (`doctor`, the console's banner)."""

from __future__ import annotations

import json
import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

STATE_FILE = "state.json"


class PartState(StrEnum):
    """Name where a part is in its life."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    OFF = "off"
    STOPPED = "stopped"


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
    except (OSError, ValidationError, json.JSONDecodeError):
        return None
    return state if Path(f"/proc/{state.supervisor_pid}").exists() else None
