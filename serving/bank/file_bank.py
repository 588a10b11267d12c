"""A bank without an API: instructions lie in a folder, acknowledgements are laid into another; docs/bank.md says who moves what.

`outgoing/` one file an instruction; whoever picks it up moves it to `taken/`, and never deletes it. `incoming/` deliveries of
acknowledgements, one JSON object a line; we move them to `done/`, with the lines that had no effect in `rejected/`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from uuid import UUID, uuid4

from domain.errors import InvalidInput
from serving.bank.port import KEY_CONFLICT, Ack, AckLine, AckStatus, BankInstruction, BankUnavailable, RejectedLine
from serving.bank.wire import (
    MAX_ACKNOWLEDGEMENT_BYTES,
    UnreadableAcknowledgement,
    parse_acknowledgement,
    render_instruction,
    render_instruction_id,
)

_FOLDERS = ("outgoing", "taken", "incoming", "done", "rejected")
_SUFFIX = ".jsonl"


class FileBank:
    """Write instructions and read acknowledgements below one folder, which is on one file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, instruction: BankInstruction) -> Ack:
        """Lay the instruction out, whole or not at all. Raises: BankUnavailable, NotCanonical."""
        content = render_instruction(instruction) + b"\n"
        accepted = Ack(instruction.instruction_id, AckStatus.ACCEPTED)
        with self._usable():
            before = self._read_laid_out(instruction.instruction_id)
            if before is None and not self._lay_out(instruction.instruction_id, content):
                before = self._read_laid_out(instruction.instruction_id)
            if before is not None and before != content:
                return Ack(instruction.instruction_id, AckStatus.REFUSED, reason_code=KEY_CONFLICT)
        return accepted

    def find(self, instruction_id: UUID) -> Ack | None:
        """Say whether it was laid out; what the bank made of it comes with a delivery. Raises: BankUnavailable."""
        with self._usable():
            found = self._read_laid_out(instruction_id)
        return None if found is None else Ack(instruction_id, AckStatus.ACCEPTED)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def list_deliveries(self) -> Sequence[str]:
        """Return the deliveries by name; a file under any other name is being written."""
        with self._usable():
            return sorted(
                file.name
                for file in (self._folder / "incoming").iterdir()
                if file.name.endswith(_SUFFIX) and not file.name.startswith(".") and file.is_file() and not file.is_symlink()
            )

    def read_delivery(self, name: str) -> Iterator[AckLine]:
        """Read a delivery line by line. Raises: BankUnavailable."""
        with self._usable(), (self._folder / "incoming" / name).open("rb") as stream:
            number = 0
            while line := stream.readline(MAX_ACKNOWLEDGEMENT_BYTES + 2):
                number += 1
                if not line.endswith(b"\n") and len(line) > MAX_ACKNOWLEDGEMENT_BYTES:
                    _skip_line(stream.readline)
                if line.strip():
                    yield AckLine(number, _ack_of(line))

    def finish_delivery(self, name: str, rejected: Sequence[RejectedLine]) -> None:
        """Put a delivery away. A name that was used before is kept apart by its content."""
        delivered = self._folder / "incoming" / name
        with self._usable():
            put_away = self._folder / "done" / name
            if put_away.exists():
                digest = hashlib.sha256(delivered.read_bytes()).hexdigest()
                put_away = put_away.with_name(f"{put_away.stem}.{digest[:16]}{_SUFFIX}")
            if rejected:
                lines = b"".join(json.dumps(asdict(line)).encode() + b"\n" for line in rejected)
                self._write_anew(self._folder / "rejected" / put_away.name, lines)
            delivered.replace(put_away)
            _sync_folder(put_away.parent)

    def _read_laid_out(self, instruction_id: UUID) -> bytes | None:
        # `outgoing` first: it is moved from there to `taken`, so what was missing in the first is in the second.
        for place in ("outgoing", "taken"):
            with contextlib.suppress(FileNotFoundError):
                return self._path_of(place, instruction_id).read_bytes()
        return None

    def _lay_out(self, instruction_id: UUID, content: bytes) -> bool:
        """Say whether it is ours that lies there now; a link refuses to replace what another laid out meanwhile."""
        target = self._path_of("outgoing", instruction_id)
        written = _write_hidden(target.parent, content)
        try:
            os.link(written, target)
        except FileExistsError:
            return False
        finally:
            written.unlink()
        _sync_folder(target.parent)
        return True

    def _write_anew(self, target: Path, content: bytes) -> None:
        _write_hidden(target.parent, content).replace(target)
        _sync_folder(target.parent)

    def _path_of(self, place: str, instruction_id: UUID) -> Path:
        return self._folder / place / f"{render_instruction_id(instruction_id)}{_SUFFIX}"

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            for name in _FOLDERS:
                (self._folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            yield
        except OSError as error:
            raise BankUnavailable(
                f"{self._folder} cannot be used for instructions to the bank: {error.strerror}", code="bank_folder_unusable"
            ) from error


def _ack_of(line: bytes) -> Ack | InvalidInput:
    try:
        return parse_acknowledgement(line.strip())
    except UnreadableAcknowledgement as error:
        return error


def _skip_line(readline: object) -> None:
    assert callable(readline)
    while (rest := readline(MAX_ACKNOWLEDGEMENT_BYTES)) and not rest.endswith(b"\n"):
        pass


def _write_hidden(folder: Path, content: bytes) -> Path:
    path = folder / f".{uuid4().hex}.tmp"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
