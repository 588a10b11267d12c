"""One transaction with a proved tenant: all of it, or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from psycopg import AsyncConnection, Connection, IsolationLevel, OperationalError
from psycopg.errors import SerializationFailure
from psycopg_pool import PoolTimeout

from domain.errors import Unavailable
from storage.pools import AsyncPool, Pool
from storage.tenancy import async_set_context, begin_in_context, set_context


class DatabaseUnavailable(Unavailable):
    """Say that the database is down, busy or too slow: the transaction was rolled back."""

    code = "database_unavailable"


class CommitUnknown(Unavailable):
    """Say that the connection broke during the commit: it may have happened. Retry with the same idempotency key."""

    code = "commit_unknown"


@contextmanager
def unit_of_work(pool: Pool, context: str) -> Iterator[Connection[Any]]:
    """Open a transaction under a tenant context; commit once at the end, roll back on any exception.

    Raises: DatabaseUnavailable, CommitUnknown.
    """
    at_commit = False
    try:
        with pool.connection() as connection:
            connection.autocommit = True
            try:
                # In one round trip; psycopg's own BEGIN would be another.
                begin_in_context(connection, context)
                yield connection
                at_commit = True
                connection.commit()
            except BaseException:
                # What went wrong is told, not that a lost connection cannot take it back any more.
                with suppress(OperationalError):
                    connection.rollback()
                raise
            finally:
                if not connection.closed:
                    connection.autocommit = False
    except (OperationalError, PoolTimeout) as error:
        raise _translate(error, at_commit=at_commit) from error


@contextmanager
def snapshot_of_work(pool: Pool, context: str) -> Iterator[Connection[Any]]:
    """Open a unit of work at REPEATABLE READ: every statement sees the same moment.

    A write that meets another one raises psycopg.errors.SerializationFailure. Raises: DatabaseUnavailable, CommitUnknown.
    """
    at_commit = False
    try:
        with pool.connection() as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            try:
                with connection.transaction():
                    set_context(connection, context)
                    yield connection
                    at_commit = True
            finally:
                if not connection.closed:
                    connection.isolation_level = None
    except (OperationalError, PoolTimeout) as error:
        if isinstance(error, SerializationFailure):
            raise
        raise _translate(error, at_commit=at_commit) from error


@asynccontextmanager
async def async_unit_of_work(pool: AsyncPool, context: str) -> AsyncIterator[AsyncConnection[Any]]:
    """Do what `unit_of_work` does, for async callers."""
    at_commit = False
    try:
        async with pool.connection() as connection, connection.transaction():
            await async_set_context(connection, context)
            yield connection
            at_commit = True
    except (OperationalError, PoolTimeout) as error:
        raise _translate(error, at_commit=at_commit) from error


def _translate(error: OperationalError | PoolTimeout, *, at_commit: bool) -> Unavailable:
    sqlstate = error.sqlstate if isinstance(error, OperationalError) else None
    # Class 57 is the server going away; with no state at all, the connection broke before an answer came.
    if at_commit and (sqlstate is None or sqlstate.startswith("57")):
        return CommitUnknown("the connection to the database broke during the commit; retry with the same key")
    reason = sqlstate or type(error).__name__
    return DatabaseUnavailable(f"the database did not answer in time or is down ({reason}); nothing was changed, retry")
