"""Execute a decision: consume it, post it, record it, in one transaction. The database has the last word."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from domain.clock import require_utc
from domain.ids import require_id, uuid_of
from ledger.posting import post_refund
from ledger.results import Execution
from storage.pools import Pool
from storage.unit_of_work import unit_of_work


def execute_decision(pool: Pool, context: str, decision_id: str, now: datetime) -> Execution:
    """Post what the decision allows, once. `pool` and `context` are of role executor. Safe to repeat after any failure.

    Raises: InvalidId, NaiveTime, DatabaseUnavailable, CommitUnknown (then repeat: the answer is ALREADY_POSTED).
    """
    transfer_id = derive_transfer_id(decision_id)
    with unit_of_work(pool, context) as connection:
        return post_refund(connection, decision_id, transfer_id=transfer_id, now=require_utc(now))


def derive_transfer_id(decision_id: str) -> UUID:
    """Derive the one transfer id that a decision can have, so that a repeat needs no memory.

    A UUIDv7 with the decision's time and bits of its hash. Raises: InvalidId.
    """
    milliseconds = uuid_of(require_id(decision_id, "dec")).int >> 80
    bits = int.from_bytes(hashlib.sha256(f"transfer|{decision_id}".encode()).digest()[:16], "big") >> 54
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | ((bits >> 62) << 64) | (0b10 << 62) | (bits & ((1 << 62) - 1)))
