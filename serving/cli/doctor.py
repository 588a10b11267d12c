"""`doctor`: what is missing or wrong on this machine, and how to mend it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.errors import SetupError
from serving.cli.output import print_line
from serving.settings import ROOT_DIR, Settings, read_settings
from serving.supervisor.preflight import MIN_FREE_BYTES, check_port
from serving.supervisor.state import PartState, PartStatus, read_state

_MIN_MEMORY_BYTES = 7 * 2**30
_MODEL_NAMES = ("chat", "embedding", "ner")


class Finding(BaseModel):
    """Hold one line of the report: `wrong` needs a hand, `note` is good to know."""

    model_config = ConfigDict(frozen=True)

    level: Literal["ok", "note", "wrong"]
    what: str
    mend: str = ""


def run_doctor() -> tuple[Finding, ...]:
    """Look at everything that can be looked at without changing it."""
    try:
        settings = read_settings()
    except SetupError as error:
        return (Finding(level="wrong", what=error.message, mend="unset or correct the variable"),)
    checks: tuple[Callable[[Settings], Finding], ...] = (
        _check_python, _check_memory, _check_disk, _check_models, _check_vllm, _check_assets, _check_secrets, _check_port,
    )  # fmt: skip
    return (*(_look(check, settings) for check in checks), *_check_parts(settings))


def _look(check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return check(settings)
    except OSError as error:
        return Finding(
            level="wrong",
            what=f"{error.filename or check.__name__} cannot be looked at ({error.strerror})",
            mend="run this as the user who runs ./tellergate up, or set TELLERGATE_VAR_DIR to a folder of your own",
        )


def print_findings(findings: tuple[Finding, ...]) -> None:
    """Print the report."""
    marks = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}
    for finding in findings:
        mend = f"\n      -> {finding.mend}" if finding.mend else ""
        print_line(f"{marks[finding.level]} {finding.what}{mend}")


def _check_python(_settings: Settings) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if version.startswith("3.11."):
        return Finding(level="ok", what=f"Python {version}")
    return Finding(level="wrong", what=f"Python {version}", mend="install Python 3.11 and run ./tellergate setup")


def _check_memory(_settings: Settings) -> Finding:
    total = _read_meminfo("MemTotal")
    what = f"memory: {total / 2**30:.1f} GB"
    if total >= _MIN_MEMORY_BYTES:
        return Finding(level="ok", what=what)
    return Finding(
        level="note", what=what, mend="both starter models need about 5 GB: with less, set TELLERGATE_WITH_MODEL=false"
    )


def _read_meminfo(name: str) -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _check_disk(settings: Settings) -> Finding:
    folder = settings.var_dir if settings.var_dir.exists() else ROOT_DIR
    free = shutil.disk_usage(folder).free
    what = f"disk: {free / 2**30:.1f} GB free at {folder}"
    if free >= MIN_FREE_BYTES:
        return Finding(level="ok", what=what)
    return Finding(level="wrong", what=what, mend="free some space, or set TELLERGATE_VAR_DIR to a larger disk")


def _check_models(settings: Settings) -> Finding:
    missing = [name for name in _MODEL_NAMES if not (settings.models_dir / name).is_dir()]
    if not missing:
        return Finding(level="ok", what="models: chat, embedding, ner")
    return Finding(level="wrong", what=f"models missing: {', '.join(missing)}", mend="./tellergate setup")


def _check_vllm(_settings: Settings) -> Finding:
    if (ROOT_DIR / ".venv-vllm" / "bin" / "python").exists():
        return Finding(level="ok", what="environment for vLLM")
    return Finding(
        level="note", what="no environment for vLLM: answers are written by templates", mend="./tellergate setup --with-vllm"
    )


def _check_assets(_settings: Settings) -> Finding:
    if (ROOT_DIR / "static" / "dist" / "app.css").exists():
        return Finding(level="ok", what="console assets")
    return Finding(level="wrong", what="console assets are not built", mend="./tellergate setup")


def _check_secrets(settings: Settings) -> Finding:
    if not settings.secrets_dir.exists():
        return Finding(level="note", what="no secrets yet: they are made at the first ./tellergate up")
    open_files = [file.name for file in settings.secrets_dir.iterdir() if file.is_file() and file.stat().st_mode & 0o077]
    if not open_files:
        return Finding(level="ok", what="secrets are closed to other users")
    return Finding(
        level="wrong",
        what=f"secrets open to other users: {', '.join(sorted(open_files))}",
        mend=f"chmod 600 the files in {settings.secrets_dir}, and replace these secrets",
    )


def _check_port(settings: Settings) -> Finding:
    if read_state(settings.run_dir) is not None:
        return Finding(level="ok", what=f"port {settings.port} is in use by the running service")
    try:
        check_port(settings)
    except SetupError as error:
        return Finding(level="wrong", what=error.message, mend="choose another: TELLERGATE_PORT=8470 ./tellergate up")
    return Finding(level="ok", what=f"port {settings.port} is free")


def _check_parts(settings: Settings) -> tuple[Finding, ...]:
    state = read_state(settings.run_dir)
    if state is None:
        return (Finding(level="note", what="the service is not running", mend="./tellergate up"),)
    return tuple(
        Finding(
            level="ok" if part.state is PartState.READY else "note" if part.state is PartState.STARTING else "wrong",
            what=f"{part.name}: {part.state.value} since {part.since:%H:%M:%S} UTC, {part.restarts} restarts",
            mend=_mend_part(settings, part),
        )
        for part in state.parts
    )


def _mend_part(settings: Settings, part: PartStatus) -> str:
    if part.state in (PartState.READY, PartState.STARTING):
        return ""
    if part.state is PartState.REFUSED:
        return "nobody approved it: ./tellergate incidents list says which two commands do"
    return f"read {settings.log_dir / part.name}.log"
