"""What must hold before anything starts; each fault says what to do about it."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import IO

from domain.errors import SetupError
from serving.settings import Settings
from serving.supervisor.state import read_state

MIN_FREE_BYTES = 500 * 1024 * 1024
# sun_path holds 108 bytes; the longest name of ours is added to the folder.
_LONGEST_SOCKET_NAME = 24
_SOCKET_DIR_MAX_BYTES = 106 - _LONGEST_SOCKET_NAME


class AlreadyRunning(SetupError):
    """Say that another supervisor holds this folder."""

    code = "already_running"


def make_folders(settings: Settings) -> None:
    """Make the folders of `var/`, closed to others where they hold secrets. Raises: SetupError when one can't be written."""
    for folder in (settings.var_dir, settings.run_dir, settings.secrets_dir, settings.log_dir, settings.var_dir / "ingest"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # The database server runs as another user when we are root, so `var` itself stays passable.
            folder.chmod(0o755 if folder == settings.var_dir else 0o700)
            with tempfile.NamedTemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise SetupError(
                f"{folder} cannot be written ({error.strerror}): make it writable for this user, or set TELLERGATE_VAR_DIR "
                "to a folder that is",
                code="not_writable",
            ) from error


def take_lock(settings: Settings) -> IO[str]:
    """Be the only supervisor of this folder. Raises: AlreadyRunning that names the other and its address."""
    stream = (settings.run_dir / "supervisor.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        other = read_state(settings.run_dir)
        where = (
            f" at {other.url} (process {other.supervisor_pid})"
            if other
            else f" or just starting or stopping in {settings.var_dir}"
        )
        raise AlreadyRunning(f"Tellergate is already running{where}. Use that one, or stop it with Ctrl-C first") from None
    except OSError as error:
        stream.close()
        raise SetupError(
            f"{stream.name} cannot be locked ({error.strerror}): set TELLERGATE_VAR_DIR to a folder on a local disk",
            code="no_lock",
        ) from error
    return stream


def check_port(settings: Settings) -> None:
    """Raise SetupError when the console's port is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                mend = "another program has it. Stop that program, or choose another port"
            else:
                mend = "choose another port, or with TELLERGATE_HOST an address of this machine"
            raise SetupError(
                f"{settings.host}:{settings.port} cannot be used ({error.strerror}): {mend}: "
                "TELLERGATE_PORT=8470 ./tellergate up",
                code="port_taken" if error.errno == errno.EADDRINUSE else "port_refused",
            ) from error


def check_disk(settings: Settings) -> None:
    """Raise SetupError when the disk is nearly full: Postgres must never meet a full disk at its first write."""
    free = shutil.disk_usage(settings.var_dir).free
    if free < MIN_FREE_BYTES:
        raise SetupError(
            f"only {free // 2**20} MB are free under {settings.var_dir}; {MIN_FREE_BYTES // 2**20} MB are needed to start. "
            "Free some space, or set TELLERGATE_VAR_DIR to a larger disk",
            code="disk_full",
        )


def check_models(settings: Settings) -> None:
    """Raise SetupError when the model that finds names is not there: what cannot be masked cannot be asked."""
    folder = settings.models_dir / "ner"
    if not folder.is_dir():
        raise SetupError(
            f"{folder} is missing, and without it no text can be masked: run ./tellergate setup, or set TELLERGATE_MODELS_DIR to "
            "the folder that holds the models",
            code="no_models",
        )


def find_socket_dir(run_dir: Path) -> Path:
    """Return `run_dir`, or a private short folder where its path is too long for a Unix socket.

    Raises: SetupError when the short folder belongs to someone else.
    """
    if len(os.fsencode(run_dir)) <= _SOCKET_DIR_MAX_BYTES:
        return run_dir
    name = hashlib.sha256(os.fsencode(run_dir)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"tellergate-{name}"
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SetupError(f"{short} belongs to someone else: remove it, or use a shorter TELLERGATE_VAR_DIR", code="socket_dir")
    return short
