"""One part of the service: how it starts, how it says that it is ready, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from serving.supervisor.guardian import die_with_parent
from serving.supervisor.state import PartState, PartStatus

_MAX_BACKOFF_S = 30.0
_HEALTHY_AFTER_S = 60.0
READY_POLL_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class PartSpec:
    """Say how to start one process. `standard_input` carries its configuration; `niceness` is added to ours."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log_file: Path
    is_ready: Callable[[], bool]
    standard_input: bytes = field(default=b"", repr=False)
    niceness: int = 0
    socket_path: Path | None = None


class Part:
    """Keep one process alive. All methods are called from the supervisor's main thread."""

    def __init__(self, spec: PartSpec, *, now: datetime) -> None:
        self.spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        self._state = PartState.STARTING
        self._since = now
        self._restarts = 0
        self._started_at: datetime | None = None
        self._not_before: datetime | None = None

    @property
    def status(self) -> PartStatus:
        """Return what is known of it."""
        pid = self._process.pid if self._process and self._process.poll() is None else None
        return PartStatus(name=self.spec.name, state=self._state, pid=pid, restarts=self._restarts, since=self._since)

    def start(self, now: datetime) -> None:
        """Start the process; its output is appended to its log file (0600)."""
        if self.spec.socket_path is not None:
            self.spec.socket_path.unlink(missing_ok=True)
        log = os.open(self.spec.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(
                self.spec.argv,
                env=dict(self.spec.environment),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                preexec_fn=self._prepare_child,  # noqa: PLW1509 - the supervisor has one thread
                cwd=Path(__file__).resolve().parents[2],
            )
        finally:
            os.close(log)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(self.spec.standard_input)
            self._process.stdin.close()
        except BrokenPipeError:
            # It died before it read: the next look at it finds that and restarts it.
            pass
        self._started_at = now

    def _prepare_child(self) -> None:
        os.setpgid(0, 0)
        die_with_parent()
        if self.spec.niceness:
            os.nice(self.spec.niceness)

    def look(self, now: datetime) -> str | None:
        """Notice death and readiness, restart when due. Returns a line for people when something changed."""
        if self._process is None or self._process.poll() is not None:
            return self._revive(now)
        if self._state is not PartState.READY and self.spec.is_ready():
            self._move(PartState.READY, now)
            return f"{self.spec.name}: ready"
        return None

    def _revive(self, now: datetime) -> str | None:
        if self._not_before is None:
            code = self._process.returncode if self._process else None
            healthy = self._started_at is not None and (now - self._started_at).total_seconds() > _HEALTHY_AFTER_S
            self._restarts = 1 if healthy else self._restarts + 1
            wait_s = min(_MAX_BACKOFF_S, 0.5 * 2 ** min(self._restarts - 1, 8))
            self._not_before = datetime.fromtimestamp(now.timestamp() + wait_s, tz=now.tzinfo)
            self._move(PartState.RESTARTING, now)
            return f"{self.spec.name}: stopped (exit {code}), starting it again in {wait_s:g} s; see {self.spec.log_file}"
        if now >= self._not_before:
            self._not_before = None
            self.start(now)
        return None

    def stop(self, now: datetime, *, timeout_s: float) -> None:
        """Ask it to end, then make it end. Idempotent."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
        if self.spec.socket_path is not None:
            self.spec.socket_path.unlink(missing_ok=True)
        self._move(PartState.STOPPED, now)

    def request_stop(self) -> None:
        """Send SIGTERM without waiting."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def _move(self, state: PartState, now: datetime) -> None:
        if state is not self._state:
            self._state, self._since = state, now


def answers_http(socket_path: Path, target: str) -> bool:
    """Say whether a server on a Unix socket answers GET `target` with 200."""
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("ascii")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(READY_POLL_TIMEOUT_S)
            connection.connect(str(socket_path))
            connection.sendall(request)
            return b" 200 " in connection.recv(64)
    except OSError:
        return False
