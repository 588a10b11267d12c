"""The whole log as files for an auditor: records, tiles, checkpoints. Format: docs/schemas/log-export.md.

The tiles are those of c2sp.org/tlog-tiles: 256 hashes a file, so that a reader of a part needs a few small files.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection

from domain.canonical import canonical_bytes
from domain.errors import Conflict, NotFound
from gates.receipts.log_store import find_last_checkpoint, list_checkpoint_notes
from gates.receipts.sequencing import LogTampered
from gates.receipts.tree import append_leaves, hash_leaf
from storage.events import list_events

LOG_FORMAT = "tellergate-log/1"
PER_FILE = 256


class EmptyLog(NotFound):
    """Say that the tenant's log holds no record yet."""

    code = "empty_log"


class FolderTaken(Conflict):
    """Say that the folder to export to is there already."""

    code = "folder_taken"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """Hold what was written."""

    folder: Path
    records: int
    checkpoints: int
    root: bytes


def export_log(connection: Connection[Any], folder: Path, *, tenant_id: str) -> ExportReport:
    """Write the tenant's log up to its newest checkpoint into a folder that is not there yet. Role gate or auditor.

    The folder appears whole or not at all. Raises: EmptyLog, FolderTaken, LogTampered when a record was edited after it was
    logged.
    """
    last = find_last_checkpoint(connection)
    if last is None:
        raise EmptyLog("the log holds no record yet")
    notes = list_checkpoint_notes(connection, up_to=last.tree_size)
    write_log(folder, _read_records(connection, last.tree_size), notes, tenant_id=tenant_id, size=last.tree_size)
    return ExportReport(folder=folder, records=last.tree_size, checkpoints=len(notes), root=last.root)


def write_log(folder: Path, records: Iterable[Mapping[str, Any]], notes: Sequence[str], *, tenant_id: str, size: int) -> None:
    """Write records, tiles and checkpoint notes as a log's files. Raises: FolderTaken."""
    if folder.exists():
        raise FolderTaken(f"{folder} is there already: name another folder")
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        entries = draft.joinpath("entries")
        entries.mkdir(parents=True)
        leaves = _write_entries(entries, records)
        for name, content in make_tiles(leaves).items():
            file = draft.joinpath(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        (draft / "checkpoints.jsonl").write_bytes(b"".join(canonical_bytes({"note": note}) + b"\n" for note in notes))
        described = {"format": LOG_FORMAT, "tenant_id": tenant_id, "size": size, "checkpoints": len(notes)}
        (draft / "log.json").write_bytes(canonical_bytes(described) + b"\n")
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def make_tiles(leaves: Sequence[bytes]) -> dict[str, bytes]:
    """Return every tile of the tree by its path. An unfinished tile is named by its width."""
    tiles: dict[str, bytes] = {}
    level, row = 0, list(leaves)
    while row:
        above: list[bytes] = []
        for number in range(-(-len(row) // PER_FILE)):
            part = row[number * PER_FILE : (number + 1) * PER_FILE]
            suffix = "" if len(part) == PER_FILE else f".p/{len(part)}"
            tiles[f"tile/{level}/{_name_tile(number)}{suffix}"] = b"".join(part)
            if not suffix:
                above.append(append_leaves(0, {}, part).root)
        level, row = level + 1, above
    return tiles


def _name_tile(number: int) -> str:
    digits = f"{number:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *groups, last = (digits[place : place + 3] for place in range(0, len(digits), 3))
    return "/".join([*(f"x{group}" for group in groups), last])


def _write_entries(folder: Path, records: Iterable[Mapping[str, Any]]) -> list[bytes]:
    leaves: list[bytes] = []
    lines: list[bytes] = []

    def flush() -> None:
        if lines:
            number = (len(leaves) - 1) // PER_FILE
            (folder / f"{number:06}.jsonl").write_bytes(b"".join(lines))
            lines.clear()

    for record in records:
        content = canonical_bytes(record)
        leaves.append(hash_leaf(content))
        lines.append(content + b"\n")
        if len(lines) == PER_FILE:
            flush()
    flush()
    return leaves


def _read_records(connection: Connection[Any], size: int) -> Iterator[dict[str, Any]]:
    after = -1
    while after + 1 < size:
        page = list_events(connection, after_position=after, limit=min(PER_FILE, size - after - 1))
        for entry in page:
            after += 1
            record = entry.event.to_record()
            if entry.placement.position != after or hash_leaf(canonical_bytes(record)) != entry.placement.leaf_hash:
                raise LogTampered(f"event {entry.event.event_id} differs from the leaf at {entry.placement.position}")
            yield record
        if not page:
            raise LogTampered(f"the log has {after + 1} places, its last checkpoint says {size}")
