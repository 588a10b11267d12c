"""The tree's rows: nodes and checkpoints, read and appended under a tenant's context."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection

from gates.receipts.tree import NodeKey
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parents[1] / "sql" / "receipts.sql")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Hold a signed size and root. `note` is the whole signed note."""

    tree_size: int
    root: bytes
    note: str


def find_last_checkpoint(connection: Connection[Any]) -> Checkpoint | None:
    """Return the tenant's newest checkpoint; None before the first event was placed."""
    row = connection.execute(_QUERIES["find_last_checkpoint"]).fetchone()
    return None if row is None else Checkpoint(tree_size=row[0], root=bytes(row[1]), note=row[2])


def append_checkpoint(connection: Connection[Any], checkpoint: Checkpoint, *, created_at: datetime) -> None:
    """Append a checkpoint. A second one of the same size raises psycopg.errors.UniqueViolation."""
    parameters = {"tree_size": checkpoint.tree_size, "root": checkpoint.root, "note": checkpoint.note}
    connection.execute(_QUERIES["insert_checkpoint"], {**parameters, "created_at": created_at})


def find_nodes(connection: Connection[Any], keys: Iterable[NodeKey]) -> dict[NodeKey, bytes]:
    """Return the hashes of these complete subtrees, leaves included; a missing one is left out."""
    wanted = sorted(set(keys))
    parameters = {
        "levels": [level for level, _ in wanted if level],
        "positions": [position for level, position in wanted if level],
        "leaf_positions": [position for level, position in wanted if not level],
    }
    return {(row[0], row[1]): bytes(row[2]) for row in connection.execute(_QUERIES["find_nodes"], parameters)}


def append_nodes(connection: Connection[Any], nodes: Mapping[NodeKey, bytes]) -> None:
    """Append complete subtrees above the leaves. One that is there already raises psycopg.errors.UniqueViolation."""
    parameters = {
        "levels": [level for level, _ in nodes],
        "positions": [position for _, position in nodes],
        "node_hashes": list(nodes.values()),
    }
    connection.execute(_QUERIES["insert_nodes"], parameters)


def list_checkpoint_notes(connection: Connection[Any], *, up_to: int) -> list[str]:
    """Return the signed notes of all checkpoints up to a size, the oldest first."""
    return [str(row[0]) for row in connection.execute(_QUERIES["list_checkpoint_notes"], {"up_to": up_to})]


def find_log_key(connection: Connection[Any], key_id: bytes) -> int | None:
    """Return after which size of the tenant's log a later key signs; None for the first key, and for one that never signed."""
    row = connection.execute(_QUERIES["find_log_key"], {"key_id": key_id.hex()}).fetchone()
    return None if row is None else int(row[0])


def append_log_key(
    connection: Connection[Any], *, key_id: bytes, verifier_key: str, retired_key_id: bytes, signs_after: int, now: datetime
) -> None:
    """Remember which key signs from here on. A second one for the same key raises psycopg.errors.UniqueViolation."""
    parameters = {"key_id": key_id.hex(), "verifier_key": verifier_key, "retired_key_id": retired_key_id.hex()}
    connection.execute(_QUERIES["insert_log_key"], {**parameters, "signs_after": signs_after, "now": now})


def find_anchored_size(connection: Connection[Any], *, target: str) -> int:
    """Return the largest size that was anchored at a target; 0 before the first."""
    row = connection.execute(_QUERIES["find_anchored_size"], {"target": target}).fetchone()
    return 0 if row is None else int(row[0])


def append_anchor(connection: Connection[Any], *, target: str, tree_size: int, root: bytes, anchored_at: datetime) -> None:
    """Remember that a head was anchored at a target. Again for the same size does nothing."""
    parameters = {"target": target, "tree_size": tree_size, "root": root, "anchored_at": anchored_at}
    connection.execute(_QUERIES["insert_anchor"], parameters)
