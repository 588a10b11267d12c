"""A whole service as a user starts it: `./tellergate up` in a folder of its own, spoken to from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
_START_HANG_S = 300.0
_MODEL_HANG_S = 420.0
_STOP_HANG_S = 60.0


@dataclass(frozen=True, slots=True)
class CliRun:
    """Hold what a command printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        answer = json.loads(self.out)
        assert isinstance(answer, dict)
        return answer


class Service:
    """Start it, speak to it, look at its processes, stop it."""

    def __init__(self, folder: Path, *, with_model: bool) -> None:
        self.var_dir = folder / "var"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "TELLERGATE_VAR_DIR": str(self.var_dir),
            "TELLERGATE_MODELS_DIR": str(ROOT / "var" / "models"),
            "TELLERGATE_PORT": str(self.port),
            "TELLERGATE_WITH_MODEL": str(with_model).lower(),
            "PYTHONPATH": str(ROOT),
        }
        self._with_model = with_model
        self._log = folder / "up.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until the console answers (and the models, where they are wanted)."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "serving.cli", "up"), cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        self.wait_for(lambda: "Tellergate is up" in self.said, hang_s=_START_HANG_S)
        if self._with_model:
            self.wait_for_part("vllm-chat", hang_s=_MODEL_HANG_S)
            self.wait_for_part("vllm-embeddings", hang_s=_MODEL_HANG_S)

    @property
    def said(self) -> str:
        return self._log.read_text(encoding="utf-8")

    @property
    def supervisor_pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def scenarios(self) -> dict[str, dict[str, Any]]:
        """Return what the demo generator knows by construction."""
        scenarios = json.loads((self.var_dir / "demo-scenarios.json").read_text(encoding="utf-8"))["scenarios"]
        assert isinstance(scenarios, dict)
        return scenarios

    def wait_for(self, condition: Callable[[], bool], *, hang_s: float = 60.0) -> None:
        deadline = time.monotonic() + hang_s
        while not condition():
            assert self._process is None or self._process.poll() is None, f"the supervisor ended:\n{self.said[-3000:]}"
            assert time.monotonic() < deadline, f"nothing happened in {hang_s:.0f} s:\n{self.said[-3000:]}"
            time.sleep(0.1)

    def parts(self) -> dict[str, dict[str, Any]]:
        """Return the supervisor's state of each part."""
        state = json.loads((self.var_dir / "run" / "state.json").read_text(encoding="utf-8"))
        return {part["name"]: part for part in state["parts"]}

    def wait_for_part(self, name: str, *, other_than: int | None = None, hang_s: float = 60.0) -> int:
        """Wait until a part is ready, under another process id where one is given; return its process id."""

        def is_back() -> bool:
            part = self.parts().get(name)
            return part is not None and part["state"] == "ready" and part["pid"] not in (None, other_than)

        self.wait_for(is_back, hang_s=hang_s)
        return int(self.parts()[name]["pid"])

    def kill(self, name: str) -> int:
        """Kill one part with SIGKILL; return the process id that it had."""
        pid = int(self.parts()[name]["pid"])
        os.kill(pid, signal.SIGKILL)
        return pid

    def cli(self, *arguments: str, standard_input: str | None = None, hang_s: float = 180.0) -> CliRun:
        """Run one command as a user does."""
        done = subprocess.run(
            (sys.executable, "-m", "serving.cli", *arguments),
            cwd=ROOT, env=self.environment, input=standard_input, capture_output=True, text=True, timeout=hang_s, check=False,
        )  # fmt: skip
        return CliRun(done.returncode, done.stdout, done.stderr)

    def ask(self, customer_id: str, message: str, *, as_user: str = "ada", key: str | None = None) -> dict[str, Any]:
        """Ask by the CLI and return the whole answer."""
        extra = ("--idempotency-key", key) if key else ()
        run = self.cli("ask", "--customer", customer_id, "--message", message, "--as", as_user, "--json", *extra)
        assert run.status == 0, run.out + run.err
        return run.json

    def password_of(self, username: str) -> str:
        found = re.search(rf"^{username}\s+(\S+)", (self.var_dir / "demo-logins.txt").read_text(encoding="utf-8"), re.MULTILINE)
        assert found is not None
        return found.group(1)

    def api(self, username: str) -> httpx.Client:
        """Return an HTTP client that is signed in."""
        body = {"tenant_id": "demo", "username": username, "password": self.password_of(username)}
        token = httpx.post(f"{self.url}/api/v1/sessions", json=body).raise_for_status().json()["token"]
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=60.0)

    def descendants(self) -> set[int]:
        """Return every process below the supervisor."""
        parents: dict[int, int] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(stat.parent.name)] = int(fields[1])
        found: set[int] = set()
        wave = {self.supervisor_pid}
        while wave:
            wave = {pid for pid, parent in parents.items() if parent in wave} - found
            found |= wave
        return found

    def stop(self, sign: int = signal.SIGINT) -> int:
        """Send a signal to the supervisor and wait for its end."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(sign)
        return process.wait(_STOP_HANG_S)


def is_alive(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
