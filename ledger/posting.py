"""The ledger's only writing module. Imported by `gates/execution.py` and by nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from domain.errors import BrokenInvariant
from domain.transfer import ResultCode, TransferRequest, TransferResult
from ledger.columns import KIND_NUMBERS, ask_by_column, fit_column, flags_of
from ledger.results import Execution, ExecutionCode, Posting
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "posting.sql")


class UnknownResultCode(BrokenInvariant):
    """Say that the database's function and this program do not belong together."""

    code = "unknown_result_code"


def post_decision(connection: Connection[Any], decision_id: str, *, transfer_id: UUID, now: datetime) -> Execution:
    """Carry out what a decision allows or holds in the caller's transaction, as role executor. Repeats give the stored answer.

    A refusal is a value. Raises: UnknownResultCode, psycopg.Error.
    """
    parameters = {"decision_id": decision_id, "transfer_id": transfer_id, "now": now}
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_QUERIES["execute_decision"], parameters).fetchone()
    if row is None:
        raise UnknownResultCode("ledger.execute_decision returned no row")
    try:
        code = ExecutionCode(row.pop("result_code"))
    except ValueError as error:
        raise UnknownResultCode(f"ledger.execute_decision: {error}") from error
    posting = Posting(**row) if code in {ExecutionCode.POSTED, ExecutionCode.ALREADY_POSTED} else None
    return Execution(code=code, decision_id=decision_id, posting=posting)


def post_transfer(connection: Connection[Any], request: TransferRequest, *, now: datetime) -> TransferResult:
    """Ask for one transfer in the caller's transaction, as role executor. Idempotent by its id.

    A refusal is a value. Raises: UnknownResultCode, psycopg.Error.
    """
    parameters = {
        "transfer_id": request.transfer_id,
        "kind": KIND_NUMBERS[request.kind],
        "debit": request.debit,
        "credit": request.credit,
        "amount_minor": fit_column(request.amount_minor),
        "currency": request.currency,
        "code": int(request.code),
        "occurred_at": request.occurred_at,
        "now": now,
        "target_id": request.target_id,
        "hold_expires_at": request.hold_expires_at,
        "flags": flags_of(request),
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_QUERIES["post_one"], parameters).fetchone()
    if row is None:
        raise UnknownResultCode("ledger.post_one returned no row")
    refused = row.pop("refused_code")
    try:
        code = ResultCode(row.pop("code"))
        return TransferResult(**row, code=code, refused_code=None if refused is None else ResultCode(refused))
    except ValueError as error:
        raise UnknownResultCode(f"ledger.post_one: {error}") from error


def post_transfers(
    connection: Connection[Any], requests: Sequence[TransferRequest], *, now: datetime, writer_epoch: int | None = None
) -> list[TransferResult]:
    """Ask for up to MAX_BATCH transfers in one call and transaction, as role executor; one answer each, in their order.

    Raises: psycopg.errors.ObjectNotInPrerequisiteState when another writer took over (`writer_epoch`), UnreadableAnswer,
    NaiveTime, psycopg.Error.
    """
    if not requests:
        return []
    return ask_by_column(connection, _QUERIES["post_many"], requests, now=now, writer_epoch=writer_epoch)


def claim_writer(connection: Connection[Any], *, now: datetime) -> int:
    """Become the tenant's one batching writer and return the epoch that proves it. Waits for a batch in flight."""
    row = connection.execute(_QUERIES["claim_writer"], {"now": now}).fetchone()
    if row is None:
        raise UnknownResultCode("ledger.claim_writer returned no row")
    return int(row[0])
