"""Give waiting events their places in the log: position, leaf, nodes, one signed checkpoint a batch, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from domain.canonical import canonical_bytes
from domain.clock import require_utc
from domain.errors import BrokenInvariant
from gates.receipts.checkpoint import CheckpointSigner, sign_checkpoint
from gates.receipts.log_store import Checkpoint, append_checkpoint, append_nodes, find_last_checkpoint, find_nodes
from gates.receipts.tree import NodeKey, append_leaves, hash_leaf, list_subtrees, root_of
from storage.events import Placement, next_position, record_positions, take_unsequenced
from storage.pools import Pool
from storage.unit_of_work import unit_of_work


class LogTampered(BrokenInvariant):
    """Say that the stored log is not the one that was signed last. Nothing is appended to it."""

    code = "log_tampered"


@dataclass(frozen=True, slots=True)
class Sequenced:
    """Hold what a call placed. `checkpoint` is the newest one, None while the log is empty."""

    events: int
    checkpoint: Checkpoint | None


def sequence_events(pool_gate: Pool, context: str, signer: CheckpointSigner, *, now: datetime, limit: int = 500) -> Sequenced:
    """Place up to `limit` waiting events of the context's tenant, in the order they were inserted. Role gate.

    An event whose cause committed earlier comes after it. One caller a tenant works at a time, the others wait; after a crash
    nothing or the whole batch is there, and a repeat goes on. Raises: LogTampered, NotCanonical, DatabaseUnavailable.
    """
    with unit_of_work(pool_gate, context) as connection:
        return place_waiting(connection, signer, now=now, limit=limit)


def place_waiting(
    connection: Connection[Any], signer: CheckpointSigner, *others: CheckpointSigner, now: datetime, limit: int
) -> Sequenced:
    """Do the same in the caller's transaction; each of the signers signs the checkpoint."""
    waiting = take_unsequenced(connection, limit)
    last = find_last_checkpoint(connection)
    if not waiting:
        return Sequenced(events=0, checkpoint=last)
    size, nodes = _load_tree(connection, last)
    leaves = [hash_leaf(canonical_bytes(entry.event.to_record())) for entry in waiting]
    growth = append_leaves(size, nodes, leaves)
    record_positions(
        connection,
        [
            Placement(position=size + offset, event_id=entry.event.event_id, leaf_hash=leaf)
            for offset, (entry, leaf) in enumerate(zip(waiting, leaves, strict=True))
        ],
        ordinals=[entry.ordinal for entry in waiting],
    )
    append_nodes(connection, growth.nodes)
    note = sign_checkpoint(signer, *others, tenant_id=waiting[0].event.tenant_id, size=growth.size, root=growth.root)
    checkpoint = Checkpoint(tree_size=growth.size, root=growth.root, note=note)
    append_checkpoint(connection, checkpoint, created_at=require_utc(now))
    return Sequenced(events=len(waiting), checkpoint=checkpoint)


def _load_tree(connection: Connection[Any], last: Checkpoint | None) -> tuple[int, dict[NodeKey, bytes]]:
    size = next_position(connection)
    if size != (last.tree_size if last else 0):
        raise LogTampered(f"the log has {size} places, its last checkpoint says {last.tree_size if last else 0}")
    nodes = find_nodes(connection, list_subtrees(0, size))
    if last is not None and root_of(size, nodes) != last.root:
        raise LogTampered(f"the log's {size} leaves do not give the root of its last checkpoint")
    return size, nodes
