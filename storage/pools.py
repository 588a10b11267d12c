"""Connection pools, one for each role that a process holds."""

from __future__ import annotations

from select import POLLIN, poll
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg_pool import AsyncConnectionPool, ConnectionPool

# A server that is gone without a word (a cable, a host) shows on the socket within the minute.
_KEEPALIVE = {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 4, "tcp_user_timeout": 15_000}

Pool = ConnectionPool[Connection[Any]]
AsyncPool = AsyncConnectionPool[AsyncConnection[Any]]

_WAIT_TIMEOUT_S = 5.0
_CONNECT_TIMEOUT_S = 5
_MAX_IDLE_S = 300.0
# After this the pool stops waiting ever longer between its attempts and tries again with the next caller, so that a
# server that is back is found within seconds, however long it was away.
_RECONNECT_TIMEOUT_S = 5.0


def open_pool(dsn: str, *, name: str, max_size: int = 4) -> Pool:
    """Open a pool without waiting for the server: a process starts, and says 503, while its database is down.

    `name` goes into thread names and `application_name`. The caller closes it. Timeouts of statements and locks are
    the role's own (`storage.roles.ROLE_LIMITS`).
    """
    return ConnectionPool(
        dsn,
        connection_class=Connection[Any],
        kwargs={"application_name": f"tellergate-{name}", "connect_timeout": _CONNECT_TIMEOUT_S, **_KEEPALIVE},
        min_size=1,
        max_size=max_size,
        name=name,
        timeout=_WAIT_TIMEOUT_S,
        max_idle=_MAX_IDLE_S,
        reconnect_timeout=_RECONNECT_TIMEOUT_S,
        check=check_alive,
        open=True,
    )


def check_alive(connection: Connection[Any]) -> None:
    """Raise psycopg.OperationalError for a connection whose server went away: a restarted one leaves dead ones behind.

    A server says nothing on an idle connection but that it ends: where nothing is to read no round trip is spent.
    """
    waiting = poll()
    waiting.register(connection.fileno(), POLLIN)
    if waiting.poll(0):
        ConnectionPool.check_connection(connection)


async def open_async_pool(dsn: str, *, name: str, max_size: int = 4, autocommit: bool = False) -> AsyncPool:
    """Open an async pool, as `open_pool` does. `autocommit` is for libraries that manage their own transactions."""
    pool = AsyncConnectionPool(
        dsn,
        connection_class=AsyncConnection[Any],
        kwargs={
            "application_name": f"tellergate-{name}",
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "autocommit": autocommit,
        },
        min_size=1,
        max_size=max_size,
        name=name,
        timeout=_WAIT_TIMEOUT_S,
        max_idle=_MAX_IDLE_S,
        reconnect_timeout=_RECONNECT_TIMEOUT_S,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    await pool.open(wait=False)
    return pool
