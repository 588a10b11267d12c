"""What the embedded server is told so that each finished WAL file is kept outside of its data directory."""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
from pathlib import Path

from domain.errors import SetupError
from storage.backup.durable import explain_os_error, sync_folder, write_durably
from storage.embedded_files import ServerUser, allow_traverse

_ARCHIVE_SCRIPT = Path(__file__).parent / "archive_segment.sh"
_FETCH_SCRIPT = Path(__file__).parent / "fetch_segment.sh"
_PROGRAMS = ("sh", "gzip", "sha256sum", "sync", "nice", "mv")
DEFAULT_TIMEOUT_S = 60


def archiving_settings(folder: Path, *, timeout_s: int) -> dict[str, str]:
    """Return the server settings that send finished WAL files to `folder`.

    `timeout_s` bounds how long a commit may wait for its file to be finished, where little is written.
    """
    return {
        "archive_mode": "on",
        "archive_timeout": f"{timeout_s}s",
        "archive_command": _command(_ARCHIVE_SCRIPT, "%p", "%f", _literal(folder)),
    }


def fetch_command(folder: Path) -> str:
    """Return the command by which a recovering server takes WAL files out of `folder`."""
    return _command(_FETCH_SCRIPT, _literal(folder), "%f", "%p")


def claim_archive(wal_dir: Path, data_dir: Path, user: ServerUser | None) -> Path:
    """Make the cluster's own folder in the archive, for the server's user alone, and return it. Idempotent.

    Each cluster has one of its own: a new cluster would use the names of an older one's files again. Timeline histories that
    the data directory holds and the archive lacks are added: a restored cluster brings one that nothing else would keep.
    Raises: SetupError.
    """
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        raise SetupError(
            f"the archive of the write-ahead log needs {', '.join(missing)}: install gzip and coreutils", code="no_archive_tools"
        )
    folder = wal_dir / read_system_identifier(data_dir)
    try:
        wal_dir.mkdir(parents=True, exist_ok=True, mode=0o711)
        folder.mkdir(exist_ok=True, mode=0o700)
        if user is not None:
            allow_traverse(folder)
            os.chown(folder, user.uid, user.gid)
        folder.chmod(0o700)
        _keep_histories(folder, data_dir, user)
        sync_folder(wal_dir)
    except OSError as error:
        raise explain_os_error(error, what="the archive of the write-ahead log cannot be used") from error
    return folder


def read_system_identifier(data_dir: Path) -> str:
    """Return the number that initdb gave the cluster. Source: PostgreSQL pg_control.h, the first field of ControlFileData."""
    try:
        raw = data_dir.joinpath("global", "pg_control").read_bytes()[:8]
    except OSError as error:
        raise SetupError(f"{data_dir} is no cluster: {error.strerror}", code="no_cluster") from error
    return str(int.from_bytes(raw, "little"))


def _keep_histories(folder: Path, data_dir: Path, user: ServerUser | None) -> None:
    for history in sorted(data_dir.joinpath("pg_wal").glob("*.history")):
        kept = folder / f"{history.name}.gz"
        if kept.exists():
            continue
        draft = folder / f".{history.name}.draft"
        draft.unlink(missing_ok=True)
        write_durably(draft, gzip.compress(history.read_bytes(), 1, mtime=0))
        if user is not None:
            os.chown(draft, user.uid, user.gid)
        draft.rename(kept)
        sync_folder(folder)


def _command(script: Path, *arguments: str) -> str:
    # The text and not the file: the server's user may not be able to reach ours.
    lines = [line for line in script.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    quoted = shlex.quote("\n".join(lines)).replace("%", "%%")
    return f"sh -c {quoted} tellergate-wal {' '.join(arguments)}"


def _literal(path: Path) -> str:
    return shlex.quote(str(path)).replace("%", "%%")
