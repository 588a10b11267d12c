"""A backup that was not made is an incident: whoever looks at the console learns of it, not only the log of a nightly job."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from domain.case import CaseKind
from domain.clock import render_time
from storage.cases import NewCase, open_cases

_DUE = timedelta(hours=24)


def tell_of_failure(connection: Connection[Any], *, code: str, now: datetime) -> list[str]:
    """Open the incident and return its id; none where one stands. Role jobs, in the caller's transaction.

    `code` is that of the error, never its words: they may name folders of the machine. Idempotent within a day.
    """
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    case = NewCase(
        kind=CaseKind.BACKUP_FAILED,
        subject="backup",
        opened_for=f"{code}:{render_time(day)}",
        facts={"fault": code},
        amount_minor=None,
        currency=None,
        due_at=now + _DUE,
    )
    return open_cases(connection, [case], now=now)
