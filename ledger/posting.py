"""The ledger's only writing module. Imported by `gates/execution.py` and by nothing else."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from domain.errors import BrokenInvariant
from ledger.results import Execution, ExecutionCode, Posting
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "posting.sql")


class UnknownResultCode(BrokenInvariant):
    """Say that the database's function and this program do not belong together."""

    code = "unknown_result_code"


def post_refund(connection: Connection[Any], decision_id: str, *, transfer_id: UUID, now: datetime) -> Execution:
    """Execute an allowed refund in the caller's transaction, as role executor. Repeats give the stored answer.

    A refusal is a value. Raises: UnknownResultCode, psycopg.Error.
    """
    parameters = {"decision_id": decision_id, "transfer_id": transfer_id, "now": now}
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_QUERIES["execute_refund"], parameters).fetchone()
    if row is None:
        raise UnknownResultCode("ledger.execute_refund returned no row")
    try:
        code = ExecutionCode(row.pop("result_code"))
    except ValueError as error:
        raise UnknownResultCode(f"ledger.execute_refund: {error}") from error
    posting = Posting(**row) if code in {ExecutionCode.POSTED, ExecutionCode.ALREADY_POSTED} else None
    return Execution(code=code, decision_id=decision_id, posting=posting)
