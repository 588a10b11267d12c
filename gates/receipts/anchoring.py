"""The log's head, written where the database's owner cannot take it back: a line a head, and never an older one after a newer."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from psycopg import Connection
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.clock import render_time, require_utc
from gates.receipts.log_store import Checkpoint, append_anchor, find_last_checkpoint, find_nodes
from gates.receipts.sequencing import LogTampered
from gates.receipts.tree import list_subtrees, root_of

AnchorTarget = Literal["file", "webhook"]


class AnchorMismatch(LogTampered):
    """Say that the log does not go on from a head that was anchored: it was cut, or another one was put in its place."""

    code = "anchor_mismatch"


class AnchoredHead(BaseModel):
    """Hold one line of an anchor file. `root` is hex; `note` is the whole signed note."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    anchored_at: str
    note: str
    root: str = Field(pattern=r"^[0-9a-f]{64}$")
    tree_size: int = Field(gt=0)


@dataclass(frozen=True, slots=True)
class Anchored:
    """Hold the newest anchored head. `is_fresh`: it was written by this call."""

    head: AnchoredHead
    is_fresh: bool


def anchor_to_file(connection: Connection[Any], path: Path, *, now: datetime) -> Anchored | None:
    """Append the newest checkpoint to the tenant's anchor file, and remember it. Role gate; None while the log is empty.

    Idempotent by tree size. Raises: AnchorMismatch, before anything is written, when the log does not continue the last head
    of the file.
    """
    checkpoint = find_last_checkpoint(connection)
    last = read_last_anchor(path)
    if last is not None:
        require_continues(connection, last, checkpoint)
    if checkpoint is None:
        return None
    if last is not None and last.tree_size == checkpoint.tree_size:
        return Anchored(head=last, is_fresh=False)
    head = AnchoredHead(
        anchored_at=render_time(require_utc(now)),
        note=checkpoint.note,
        root=checkpoint.root.hex(),
        tree_size=checkpoint.tree_size,
    )
    _append_line(path, head.model_dump())
    append_anchor(connection, target="file", tree_size=head.tree_size, root=checkpoint.root, anchored_at=now)
    return Anchored(head=head, is_fresh=True)


def require_continues(connection: Connection[Any], anchored: AnchoredHead, checkpoint: Checkpoint | None) -> None:
    """Require that the stored tree of the anchored size has the anchored root. Raises: AnchorMismatch."""
    size = 0 if checkpoint is None else checkpoint.tree_size
    if size < anchored.tree_size:
        raise AnchorMismatch(f"the log was cut: {anchored.tree_size} records were anchored, it has {size}")
    nodes = find_nodes(connection, list_subtrees(0, anchored.tree_size))
    if root_of(anchored.tree_size, nodes).hex() != anchored.root:
        raise AnchorMismatch(f"the log forked: another tree of {anchored.tree_size} records was anchored")


def read_last_anchor(path: Path) -> AnchoredHead | None:
    """Return the last whole line of an anchor file, None where there is none. Raises: AnchorMismatch when it is no head."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    # A line that a crash cut off was never acknowledged.
    lines = [line for line in content.split(b"\n")[:-1] if line.strip()]
    if not lines:
        return None
    try:
        return AnchoredHead.model_validate_json(lines[-1])
    except ValidationError as error:
        raise AnchorMismatch(f"{path.name}: its last line is no anchored head: move the file away, and keep it") from error


def _append_line(path: Path, record: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        content_size = os.fstat(descriptor).st_size
        end = _find_end_of_last_line(descriptor, content_size)
        os.ftruncate(descriptor, end)
        os.pwrite(descriptor, line, end)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _find_end_of_last_line(descriptor: int, size: int) -> int:
    tail_at = max(0, size - 65_536)
    return tail_at + os.pread(descriptor, size - tail_at, tail_at).rfind(b"\n") + 1
