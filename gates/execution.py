"""Execute a decision: consume it, post it, record it, in one transaction. The database has the last word."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import Connection

from domain.clock import require_utc
from domain.transfer import TransferRequest, TransferResult
from ledger import posting
from ledger.results import Execution
from ledger.transfer_digest import derive_transfer_id
from storage.pools import Pool
from storage.unit_of_work import unit_of_work


def execute_decision(pool: Pool, context: str, decision_id: str, now: datetime) -> Execution:
    """Carry out what a decision allows or holds, once; repeat after any failure. `pool` and `context` are of role executor.

    Raises: InvalidId, NaiveTime, DatabaseUnavailable, CommitUnknown (a repeat answers ALREADY_POSTED, HELD or EXECUTED).
    """
    transfer_id = derive_transfer_id(decision_id)
    with unit_of_work(pool, context) as connection:
        return posting.post_decision(connection, decision_id, transfer_id=transfer_id, now=require_utc(now))


def execute_transfer(pool: Pool, context: str, request: TransferRequest, *, now: datetime) -> TransferResult:
    """Post one transfer that a decision authorizes. `pool` and `context` are of role executor. Idempotent by its id.

    Raises: NaiveTime, DatabaseUnavailable, CommitUnknown (then repeat: the answer is ALREADY_ACCEPTED).
    """
    with unit_of_work(pool, context) as connection:
        return posting.post_transfer(connection, request, now=require_utc(now))


def execute_transfers(
    connection: Connection[Any], requests: Sequence[TransferRequest], *, now: datetime, writer_epoch: int | None = None
) -> list[TransferResult]:
    """Post up to 8,000 transfers in the connection's transaction; one answer each, in their order.

    Raises: NaiveTime, psycopg.errors.ObjectNotInPrerequisiteState when another batching writer took over.
    """
    return posting.post_transfers(connection, requests, now=require_utc(now), writer_epoch=writer_epoch)


def claim_writer(connection: Connection[Any], *, now: datetime) -> int:
    """Become the tenant's one batching writer; the epoch goes with each batch and proves it."""
    return posting.claim_writer(connection, now=require_utc(now))
