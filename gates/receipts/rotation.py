"""A new signing key: the log tells of it, and the checkpoint that holds this record is signed by both, the old and the new."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from domain.clock import require_utc
from domain.errors import BrokenInvariant
from domain.event import Event
from domain.ids import make_id
from gates.receipts.checkpoint import CheckpointSigner
from gates.receipts.log_store import append_log_key, find_log_key
from gates.receipts.sequencing import place_waiting
from storage.events import append_event

_SOURCE = "gate"
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Rotated:
    """Hold from which size of the tenant's log on the new key signs alone."""

    retired_key_id: str
    key_id: str
    tree_size: int


def rotate_key(
    connection: Connection[Any],
    *,
    tenant_id: str,
    retired: CheckpointSigner,
    following: CheckpointSigner,
    operator_id: str,
    now: datetime,
) -> Rotated:
    """Hand the tenant's log over to the next key, in the caller's transaction. Role gate. Idempotent by the next key.

    Whoever sequences must not do it with the retired key afterwards. Raises: LogTampered.
    """
    key_ids = {"retired_key_id": retired.key_id.hex(), "key_id": following.key_id.hex()}
    known = find_log_key(connection, following.key_id)
    if known is not None:
        return Rotated(**key_ids, tree_size=known)
    moment = require_utc(now)
    append_event(
        connection,
        Event(
            event_id=make_id("evt", moment),
            event_type="gate.key_rotated",
            source=_SOURCE,
            subject=following.key_id.hex(),
            tenant_id=tenant_id,
            occurred_at=moment,
            recorded_at=moment,
            data={
                "retired_key": retired.verifier_key,
                "verifier_key": following.verifier_key,
                "operator_id": operator_id,
            },
        ),
    )
    size = 0
    while True:
        placed = place_waiting(connection, retired, following, now=moment, limit=_BATCH)
        if not placed.events or placed.checkpoint is None:
            break
        size = placed.checkpoint.tree_size
    if not size:
        raise BrokenInvariant("the record of a changed key found no place in the log")
    append_log_key(
        connection,
        key_id=following.key_id,
        verifier_key=following.verifier_key,
        retired_key_id=retired.key_id,
        signs_after=size,
        now=moment,
    )
    return Rotated(**key_ids, tree_size=size)
