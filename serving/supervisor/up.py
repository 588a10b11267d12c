"""`./tellergate up`: start everything, keep it up, stop it cleanly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import FrameType

from domain.errors import TellergateError
from serving.settings import Settings
from serving.supervisor.artifacts import admit_artifacts, list_admitted
from serving.supervisor.database import Database
from serving.supervisor.first_start import load_first_data
from serving.supervisor.models import plan_model_servers
from serving.supervisor.parts import Part, PartSpec
from serving.supervisor.plan import plan_processes
from serving.supervisor.preflight import check_disk, check_models, check_port, find_socket_dir, make_folders, take_lock
from serving.supervisor.state import MachineState, PartState, PartStatus, read_start_ticks, write_state
from storage.registry import UnapprovedArtifact
from storage.server_address import ServerAddress

_LOOK_EVERY_S = 0.2
_STOP_GRACE_S = 12.0
_DATABASE_RETRY_EVERY_S = 1.0

Say = Callable[[str], None]


class StopRequested(Exception):
    """Carry Ctrl-C or SIGTERM out of whatever is going on."""


class Supervisor:
    """Own the life of all parts. One instance a process, used from the main thread."""

    def __init__(self, settings: Settings, *, say: Say) -> None:
        self._settings = settings
        self._say = say
        self._database = Database(settings)
        self._parts: list[Part] = []
        self._url = f"http://{settings.host}:{settings.port}"
        self._started_at = self._database_since = _now()
        self._database_restarts = 0
        self._next_database_try = _now()
        self._wait_for_models = False
        self._refused: tuple[str, ...] = ()

    def run(
        self,
        *,
        on_ready: Callable[[], None] | None = None,
        until: Callable[[], bool] | None = None,
        wait_for_models: bool = False,
    ) -> None:
        """Start, watch, and stop at Ctrl-C, SIGTERM or when `until` says so.

        `on_ready` is called once, when the console answers (and the models, where asked to wait for them).
        Raises: SetupError before anything started.
        """
        self._wait_for_models = wait_for_models
        settings = self._settings
        make_folders(settings)
        with take_lock(settings):
            check_port(settings)
            check_disk(settings)
            check_models(settings)
            _raise_on_signals()
            try:
                self._start()
                self._watch(on_ready, until)
            except StopRequested:
                self._say("stopping")
            finally:
                _ignore_signals()
                self._stop()

    def _start(self) -> None:
        settings = self._settings
        socket_dir = find_socket_dir(settings.run_dir)
        address = self._database.start()
        self._say("database: running")
        revision = self._database.prepare()
        self._say(f"database: schema at {revision}")
        artifacts = self._admit(address)
        # The models take longest: they load while the data comes in.
        models = plan_model_servers(settings, socket_dir=socket_dir, artifacts=artifacts)
        self._launch(models.specs)
        load_first_data(settings, address, socket_dir=socket_dir, artifacts=artifacts, say=self._say)
        specs = plan_processes(settings, socket_dir=socket_dir, database=address, endpoints=models.endpoints, artifacts=artifacts)
        self._launch(specs)

    def _admit(self, address: ServerAddress) -> dict[str, str]:
        """Ask the registry what may be used; what it refuses is told, stays out, and stops nothing else."""
        admissions = admit_artifacts(self._settings, address, now=_now())
        self._refused = tuple(f"{one.kind} {one.name}" for one in admissions if one.sha256 is None)
        for one in admissions:
            if one.sha256 is None:
                self._say(f"refused: {one.refusal} [{UnapprovedArtifact.code}]")
        return list_admitted(admissions)

    def _launch(self, specs: Sequence[PartSpec]) -> None:
        for spec in specs:
            part = Part(spec, now=_now())
            self._parts.append(part)
            part.start(_now())
        self._write_state()

    def _watch(self, on_ready: Callable[[], None] | None, until: Callable[[], bool] | None) -> None:
        announced = False
        while until is None or not until():
            changed = self._watch_database()
            for part in self._parts:
                line = part.look(_now())
                if line is not None:
                    self._say(line)
                    changed = True
            if changed:
                self._write_state()
            if not announced and self._console_ready():
                announced = True
                if on_ready is not None:
                    on_ready()
            time.sleep(_LOOK_EVERY_S)

    def _console_ready(self) -> bool:
        waited_for = [part.status for part in self._parts if self._wait_for_models or not part.status.name.startswith("vllm")]
        return bool(waited_for) and all(status.state is PartState.READY for status in waited_for)

    def _watch_database(self) -> bool:
        """Bring the embedded server back when it died; what was committed is there, pools reconnect by themselves."""
        if self._database.is_running() or _now() < self._next_database_try:
            return False
        self._say("database: stopped, starting it again")
        self._next_database_try = _now() + timedelta(seconds=_DATABASE_RETRY_EVERY_S)
        try:
            self._database.start()
        except TellergateError as error:
            self._say(f"database: {error.message}")
            return True
        self._database_restarts += 1
        self._database_since = _now()
        self._say("database: running again")
        return True

    def _write_state(self) -> None:
        running = self._database.is_running()
        database = PartStatus(
            name="database",
            state=PartState.READY if running else PartState.RESTARTING,
            pid=self._database.pid,
            restarts=self._database_restarts,
            since=self._database_since,
        )
        refused = (
            PartStatus(name=name, state=PartState.REFUSED, pid=None, restarts=0, since=self._started_at) for name in self._refused
        )
        parts = (database, *(part.status for part in self._parts), *refused)
        start_ticks = read_start_ticks(os.getpid())
        assert start_ticks is not None
        state = MachineState(supervisor_pid=os.getpid(), supervisor_start_ticks=start_ticks, url=self._url, parts=parts)
        write_state(self._settings.run_dir, state)

    def _stop(self) -> None:
        """End the edge first, so that no new work comes in, then the rest at once, then the database."""
        for part in sorted(self._parts, key=lambda part: part.spec.name != "edge"):
            part.request_stop()
        deadline = time.monotonic() + _STOP_GRACE_S
        for part in self._parts:
            part.stop(_now(), timeout_s=max(0.1, deadline - time.monotonic()))
        self._database.stop()
        self._write_state()
        self._say("stopped")


def _raise_on_signals() -> None:
    def stop(_sign: int, _frame: FrameType | None) -> None:
        raise StopRequested

    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, stop)


def _ignore_signals() -> None:
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.SIG_IGN)


def _now() -> datetime:
    return datetime.now(UTC)
