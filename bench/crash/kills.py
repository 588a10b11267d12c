"""What dies: the server with all its children, one backend, one connection, the worker, or the worker's claim to be alone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args
from uuid import UUID

import psycopg

from bench.crash.caller import Switchboard
from bench.crash.place import QUERIES, Place
from bench.crash.planted import Fault
from storage.embedded import EmbeddedPostgres

Kill = Literal["postmaster", "backend", "connection", "worker", "two_writers"]
KILLS: tuple[Kill, ...] = get_args(Kill)

_ROOT = Path(__file__).resolve().parents[2]
_BACK_TIMEOUT_S = 60.0
_POLL_S = 0.02
_SHORT_S = 0.2
_LONG_S = 0.7


class NotBack(RuntimeError):
    """Say that something that was killed did not come back."""


@dataclass(slots=True)
class Worker:
    """Hold a worker's process."""

    process: subprocess.Popen[str]
    socket_path: str

    def kill(self) -> None:
        """Kill -9, stopped or not, and reap it."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


@dataclass(slots=True)
class Stage:
    """Hold what can be killed, and bring it back. `last_words` gets what workers write to standard error."""

    server: EmbeddedPostgres
    admin_dsn: str
    place: Place
    folder: Path
    switchboard: Switchboard
    fault: Fault | None
    worker: Worker | None = None
    retired: list[Worker] = field(default_factory=list)
    workers_started: int = 0

    def start_worker(self) -> None:
        """Start a worker and turn the callers to it."""
        self.workers_started += 1
        socket_path = str(self.folder / f"w{self.workers_started}.sock")
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.crash.worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=_ROOT,
            )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"place": asdict(self.place), "socket": socket_path, "planted": self.fault}) + "\n")
        process.stdin.flush()
        if process.stdout.readline() != "ready\n":
            raise NotBack(f"the worker did not start: {(self.folder / 'worker.log').read_text()[-2000:]}")
        self.worker = Worker(process, socket_path)
        self.switchboard.socket_path = socket_path

    def kill(self, kill: Kill, rng: Random) -> None:
        """Kill it and bring it back."""
        acts: Mapping[Kill, Callable[[Random], None]] = {
            "postmaster": self._kill_postmaster,
            "backend": self._kill_backend,
            "connection": self._cut_connection,
            "worker": self._kill_worker,
            "two_writers": self._let_two_write,
        }
        acts[kill](rng)

    def take_lost_calls(self) -> set[UUID]:
        """Return the ids of calls of the writers that ended without an answer since this was asked last."""
        lost: set[UUID] = set()
        for path in self.folder.glob("*.lost"):
            lost.update(UUID(hex=line) for line in path.read_text(encoding="ascii").split() if len(line) == 32)
            path.unlink()
        return lost

    def clear_away(self) -> None:
        """End workers that were replaced."""
        for worker in self.retired:
            worker.kill()
        self.retired.clear()

    def end(self) -> None:
        """End all workers."""
        self.clear_away()
        if self.worker is not None:
            self.worker.kill()
            self.worker = None

    def _kill_postmaster(self, rng: Random) -> None:
        pid = self.server.pid
        assert pid is not None
        children = _children_of(pid)
        os.kill(pid, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(rng.uniform(0, _SHORT_S))
        deadline = time.monotonic() + _BACK_TIMEOUT_S
        while self.server.is_running():
            if time.monotonic() > deadline:
                raise NotBack("the killed postmaster is still there")
            time.sleep(_POLL_S)
        self.server.start()

    def _kill_backend(self, rng: Random) -> None:
        pid = self._pick_backend(rng)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _BACK_TIMEOUT_S
        while True:
            try:
                self._ask("SELECT 1")
            except psycopg.Error:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)
            else:
                return

    def _cut_connection(self, rng: Random) -> None:
        pid = self._pick_backend(rng)
        if pid is not None:
            self._ask(QUERIES["cut_connection"], {"pid": pid})

    def _kill_worker(self, _rng: Random) -> None:
        if self.worker is not None:
            self.worker.kill()
        self.start_worker()

    def _let_two_write(self, rng: Random) -> None:
        """The old one sleeps in the middle of its work, the new one claims, the old one wakes and goes on."""
        old = self.worker
        assert old is not None
        old.process.send_signal(signal.SIGSTOP)
        self.start_worker()
        time.sleep(rng.uniform(_SHORT_S, _LONG_S))
        old.process.send_signal(signal.SIGCONT)
        self.retired.append(old)

    def _pick_backend(self, rng: Random) -> int | None:
        pids = [row[0] for row in self._ask(QUERIES["list_executor_backends"])]
        return rng.choice(pids) if pids else None

    def _ask(self, query: Any, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.admin_dsn, autocommit=True, connect_timeout=5) as admin:
            return admin.execute(query, parameters).fetchall()


def _children_of(pid: int) -> list[int]:
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            children.append(int(stat.parent.name))
    return children
