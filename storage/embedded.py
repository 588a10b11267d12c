"""The embedded PostgreSQL: one owner process, a socket and no TCP port, scram from the first second of its life."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from domain.errors import SetupError, Unavailable
from storage.backup.archiving import DEFAULT_TIMEOUT_S, archiving_settings, claim_archive
from storage.backup.placing import require_no_unfinished_restore
from storage.embedded_files import (
    EmbeddedFiles,
    ServerUser,
    claim_data_dir,
    claim_socket_dir,
    find_server_user,
    forget_foreign_postmaster,
    read_postmaster,
)
from storage.secrets import ensure_secret, read_secret
from storage.server_address import ServerAddress

SUPERUSER = "postgres"
PORT = 5432

# Settings go on the command line, so that neither a file nor ALTER SYSTEM can weaken them.
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "password_encryption": "scram-sha-256",
    "max_connections": "120",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    # What a base backup that was left behind may make the server keep.
    "max_slot_wal_keep_size": "4GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # Statements, parameters and DETAIL lines would carry customer values into the log file.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
# The package's default is `trust`; these lines are all that may ever connect. The superuser reads every file anyhow.
_ACCESS_RULES = "local all all scram-sha-256\nlocal replication postgres scram-sha-256\nlocal replication all reject\n"
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 20.0
_POLL_S = 0.02
# Source: prctl(2). Looked up here, because nothing may be loaded between fork and exec.
_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None).prctl
# What the server says while a killed predecessor's children or lock files are still going away.
_PASSING_FAULTS = ("pre-existing shared memory block", "is already in use", "lock file", "Is another postmaster")


class DatabaseOwned(SetupError):
    """Say that another process owns the data directory."""

    code = "database_owned"


class DatabaseNotStarted(Unavailable):
    """Say that the embedded server did not come up, with the end of its log."""

    code = "database_not_started"


@dataclass(slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    log_offset: int


class EmbeddedPostgres:
    """Own one data directory and the server on it. Nothing stops the server but `stop` or the owner's death.

    `home` holds data, socket and log; `secrets_dir` holds the superuser's password. `settings` override the ones
    above (tests and recovery only). With `wal_dir` each finished WAL file is kept in a folder of the cluster's below it.
    Call `start` from the main thread: the kernel ties the server's life to the calling thread.
    """

    def __init__(
        self,
        *,
        home: Path,
        secrets_dir: Path,
        settings: Mapping[str, str] | None = None,
        wal_dir: Path | None = None,
        archive_timeout_s: int = DEFAULT_TIMEOUT_S,
        start_timeout_s: float = _START_TIMEOUT_S,
    ) -> None:
        self._files = EmbeddedFiles.below(home)
        self._password_file = secrets_dir / "db_superuser.password"
        self._settings = {**_SETTINGS, **(settings or {})}
        self._wal_dir = wal_dir
        self._archive_timeout_s = archive_timeout_s
        self._start_timeout_s = start_timeout_s
        self._lock: IO[str] | None = None
        self._running: _Running | None = None

    @property
    def address(self) -> ServerAddress:
        """Return where the server listens, with the maintenance database. Needs no running server."""
        return ServerAddress(host=str(self._files.socket_dir), port=PORT, dbname="postgres")

    @property
    def files(self) -> EmbeddedFiles:
        """Return the server's paths."""
        return self._files

    @property
    def pid(self) -> int | None:
        """Return the postmaster's process id while this object's server runs."""
        return self._running.process.pid if self._running and self._running.process.poll() is None else None

    def admin_dsn(self, dbname: str = "postgres") -> str:
        """Write the superuser's DSN. Raises: SecretFileMissing before the first start."""
        return self.address.with_dbname(dbname).dsn(SUPERUSER, read_secret(self._password_file))

    def read_superuser_password(self) -> str:
        """Read the superuser's password. Raises: SecretFileMissing, SecretFileInsecure."""
        return read_secret(self._password_file)

    def is_running(self) -> bool:
        """Say whether this object's server process is alive."""
        return self.pid is not None

    def start(self) -> ServerAddress:
        """Start the server and wait until it accepts connections; make the cluster first if there is none. Idempotent.

        Raises: DatabaseOwned, DatabaseNotStarted, SetupError.
        """
        if self.is_running():
            return self.address
        require_no_unfinished_restore(self._files.home.parent)
        self._take_ownership()
        try:
            user = find_server_user(self._files)
            password = ensure_secret(self._password_file)
            if not self._files.is_initialized():
                initialize_cluster(self._files, user, password)
            claim_data_dir(self._files, user)
            claim_socket_dir(self._files, user)
            self._files.data_dir.joinpath("pg_hba.conf").write_text(_ACCESS_RULES, encoding="ascii")
            _wait_for_predecessor(self._files)
            forget_foreign_postmaster(self._files)
            self._running = self._launch_until_ready(user, self._settings | self._archive_for(user))
        except BaseException:
            self._release_ownership()
            raise
        return self.address

    def stop(self) -> None:
        """Roll back what is open, write a checkpoint, stop, and give the data directory free. Idempotent."""
        running, self._running = self._running, None
        if running is not None:
            for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                if _ended_after(running.process, sign):
                    break
        self._release_ownership()

    def _take_ownership(self) -> None:
        if self._lock is not None:
            return
        self._files.make_home()
        stream = self._files.lock_file.open("a+", encoding="ascii")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            owner = stream.read().strip() or "unknown"
            stream.close()
            raise DatabaseOwned(
                f"{self._files.home} is in use by process {owner}: stop that one first, or choose another folder"
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        self._lock = stream

    def _release_ownership(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _archive_for(self, user: ServerUser | None) -> dict[str, str]:
        if self._wal_dir is None:
            return {}
        folder = claim_archive(self._wal_dir.absolute(), self._files.data_dir, user)
        return archiving_settings(folder, timeout_s=self._archive_timeout_s)

    def _launch_until_ready(self, user: ServerUser | None, settings: Mapping[str, str]) -> _Running:
        deadline = time.monotonic() + self._start_timeout_s
        while True:
            running = _launch(self._files, user, settings)
            if _ready_before(self._files, running.process, deadline):
                return running
            said = self._files.read_log(running.log_offset)
            if time.monotonic() > deadline or not any(fault in said for fault in _PASSING_FAULTS):
                _ended_after(running.process, signal.SIGQUIT)
                raise DatabaseNotStarted(f"PostgreSQL did not start; the end of {self._files.log_file}:\n{said[-2000:]}")
            time.sleep(0.1)


def initialize_cluster(files: EmbeddedFiles, user: ServerUser | None, password: str) -> None:
    """Run initdb beside the final place and move the result there, so that an interrupted run leaves nothing half made.

    Raises: SetupError.
    """
    draft, password_file = files.draft_dir, files.initial_password_file
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    try:
        password_file.touch(mode=0o600)
        password_file.write_text(password, encoding="ascii")
        if user is not None:
            os.chown(draft, user.uid, user.gid)
            os.chown(password_file, user.uid, user.gid)
        done = subprocess.run(
            [
                str(files.bin_dir / "initdb"), "--pgdata", str(draft), "--username", SUPERUSER, "--pwfile", str(password_file),
                "--auth-local=scram-sha-256", "--auth-host=reject", "--encoding=UTF8", "--locale=C",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums",
            ],
            capture_output=True, text=True, check=False, cwd="/",
            user=user.uid if user else None, group=user.gid if user else None, extra_groups=[] if user else None,
        )  # fmt: skip
        if done.returncode != 0:
            raise SetupError(f"initdb failed in {files.home}: {done.stderr.strip()[-2000:]}", code="initdb_failed")
        (draft / "pg_hba.conf").write_text(_ACCESS_RULES, encoding="ascii")
    finally:
        password_file.unlink(missing_ok=True)
    draft.rename(files.data_dir)


def _launch(files: EmbeddedFiles, user: ServerUser | None, settings: Mapping[str, str]) -> _Running:
    command = [str(files.bin_dir / "postgres"), "-D", str(files.data_dir), "-k", str(files.socket_dir), "-p", str(PORT)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    owner_pid = os.getpid()

    def tie_to_owner() -> None:
        # After setuid, which clears it. A fast shutdown when the owner dies, even by kill -9.
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != owner_pid:
            os._exit(1)

    with files.log_file.open("ab") as log:
        offset = log.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
            user=user.uid if user else None, group=user.gid if user else None, extra_groups=[] if user else None,
            preexec_fn=tie_to_owner,  # noqa: PLW1509 - system calls only between fork and exec
        )  # fmt: skip
    return _Running(process=process, log_offset=offset)


def _ready_before(files: EmbeddedFiles, process: subprocess.Popen[bytes], deadline: float) -> bool:
    while process.poll() is None and time.monotonic() < deadline:
        postmaster = read_postmaster(files.data_dir)
        if postmaster is not None and postmaster.pid == process.pid and postmaster.ready:
            return True
        time.sleep(_POLL_S)
    return False


def _ended_after(process: subprocess.Popen[bytes], sign: signal.Signals) -> bool:
    if process.poll() is None:
        process.send_signal(sign)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _wait_for_predecessor(files: EmbeddedFiles) -> None:
    """We own the directory, so a postmaster still alive on it lost its owner: let it finish, then end it."""
    for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        postmaster = read_postmaster(files.data_dir)
        if postmaster is None or not postmaster.is_alive():
            return
        os.kill(postmaster.pid, sign)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while postmaster.is_alive() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
