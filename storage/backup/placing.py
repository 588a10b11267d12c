"""Put a recovered installation where it belongs: drafted beside the place, moved in by renames that a later run can finish."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from domain.errors import Conflict, SetupError
from storage.backup.durable import explain_os_error, rename_durably, sync_folder, write_durably

JOURNAL_FILE = "restore-unfinished.json"
_LOCK_FILE = ".restore.lock"
_DRAFT_PREFIX = ".restore-draft"
_OWNER_LOCK = Path("pg") / "owner.lock"
# What an interrupted run may leave; a folder that holds nothing else is empty to us.
_OURS = frozenset({_LOCK_FILE, _DRAFT_PREFIX})


class DestinationNotEmpty(Conflict):
    """Say that something stands where a restore should go."""

    code = "destination_not_empty"


class DestinationInUse(SetupError):
    """Say that a running service or another restore has the folder."""

    code = "destination_in_use"


class RestoreUnfinished(SetupError):
    """Say that a restore was cut off while it moved files into place."""

    code = "restore_unfinished"


@dataclass(frozen=True, slots=True)
class Destination:
    """Hold the folder that is restored into, and the draft inside of it where everything is made first."""

    folder: Path
    draft: Path

    def place(self, *, aside: Path | None) -> None:
        """Move every entry of the draft into the folder; what stands there goes to `aside` first.

        The list of moves is on the disk before the first one, so that a run after a crash finishes them.
        """
        names = sorted(path.name for path in self.draft.iterdir())
        moves: list[tuple[str, str]] = []
        if aside is not None:
            aside.mkdir(mode=0o711)
            moves += [
                (name, f"{aside.name}/{name}") for name in names if self.folder.joinpath(name).exists()
            ]  # one folder, so one file system
        moves += [(f"{self.draft.name}/{name}", name) for name in names]
        journal = self.folder / JOURNAL_FILE
        draft_journal = self.folder / f".{JOURNAL_FILE}"
        draft_journal.unlink(missing_ok=True)
        write_durably(draft_journal, json.dumps(moves).encode())
        sync_folder(self.draft)
        rename_durably(draft_journal, journal)
        try:
            _make_moves(self.folder, moves)
        except OSError as error:
            raise RestoreUnfinished(
                f"{self.folder}: not everything could be moved into place ({error.strerror}: {error.filename}). Mend that and "
                "run the restore into this folder again, it finishes the moves first"
            ) from error
        journal.unlink()
        sync_folder(self.folder)


def require_no_unfinished_restore(folder: Path) -> None:
    """Refuse to start on a folder in which a restore was cut off half-way. Raises: RestoreUnfinished."""
    if folder.joinpath(JOURNAL_FILE).exists():
        raise RestoreUnfinished(
            f"a restore into {folder} was cut off while it moved files into place: run ./tellergate restore into this folder "
            "again, it finishes the moves first"
        )


def finish_interrupted(folder: Path) -> bool:
    """Finish the moves of a restore that was cut off. Returns whether there was one. Raises: RestoreUnfinished."""
    journal = folder / JOURNAL_FILE
    if not journal.exists():
        return False
    try:
        moves = [(str(source), str(target)) for source, target in json.loads(journal.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise RestoreUnfinished(f"{journal} cannot be read: it lists the moves that a restore still has to make") from error
    _make_moves(folder, moves)
    journal.unlink()
    sync_folder(folder)
    return True


@contextmanager
def claim_destination(folder: Path, *, replace: bool) -> Iterator[Destination]:
    """Be the only restore into `folder`, with an empty draft inside of it; the draft and an unused folder go at the end.

    Without `replace` the folder must be absent or empty. With it, no service may run there.
    Raises: DestinationNotEmpty, DestinationInUse, SetupError.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        lock = folder.joinpath(_LOCK_FILE).open("a+", encoding="ascii")
    except OSError as error:
        raise explain_os_error(error, what=f"{folder} cannot be restored into") from error
    with lock:
        _lock(lock, f"another restore into {folder} is going on")
        require_no_unfinished_restore(folder)
        destination = Destination(folder=folder, draft=folder / _DRAFT_PREFIX)
        try:
            standing = sorted(path.name for path in folder.iterdir() if path.name not in _OURS)
            if standing and not replace:
                raise DestinationNotEmpty(
                    f"{folder} is not empty ({', '.join(standing[:4])}): choose another folder, or --replace to restore here and "
                    "keep what stands there aside"
                )
            with _without_owner(folder):
                shutil.rmtree(destination.draft, ignore_errors=True)
                destination.draft.mkdir(mode=0o711)
                yield destination
        finally:
            # While moves are open, the draft holds what they still have to move.
            if not folder.joinpath(JOURNAL_FILE).exists():
                shutil.rmtree(destination.draft, ignore_errors=True)
            folder.joinpath(_LOCK_FILE).unlink(missing_ok=True)
            if made and not any(folder.iterdir()):
                folder.rmdir()


@contextmanager
def _without_owner(folder: Path) -> Iterator[None]:
    path = folder / _OWNER_LOCK
    if not path.exists():
        yield
        return
    with path.open("a+", encoding="ascii") as owner:
        _lock(owner, f"a service runs on {folder}: stop it first")
        yield


def _lock(stream: IO[str], taken: str) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DestinationInUse(taken) from None


def _make_moves(folder: Path, moves: Sequence[tuple[str, str]]) -> None:
    for source_name, target_name in moves:
        source, target = folder / source_name, folder / target_name
        if source.exists() and not target.exists():
            rename_durably(source, target)
