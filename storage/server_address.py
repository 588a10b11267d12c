"""Where a database is; who connects and with what password is said at the call."""

from __future__ import annotations

from dataclasses import dataclass, replace

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from domain.errors import SetupError


class InvalidDsn(SetupError):
    """Say that a connection string cannot be read."""

    code = "invalid_dsn"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Hold a host (or socket folder), a port and a database name. `params` holds the rest of a DSN, such as sslmode."""

    host: str
    port: int
    dbname: str
    params: tuple[tuple[str, str], ...] = ()

    def dsn(self, role: str, password: str) -> str:
        """Write a libpq connection string for this role. It holds the password: never log it."""
        return make_conninfo(
            host=self.host, port=self.port, dbname=self.dbname, user=role, password=password, **dict(self.params)
        )

    def with_dbname(self, dbname: str) -> ServerAddress:
        """Return the same server with another database."""
        return replace(self, dbname=dbname)


def address_of(dsn: str) -> ServerAddress:
    """Read host, port, database and the other parameters from a DSN, leaving out user and password.

    Raises: InvalidDsn.
    """
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    except ProgrammingError:
        # The parser's own message may repeat the password.
        raise InvalidDsn("the database DSN cannot be read; expected postgresql://USER:PASSWORD@HOST:PORT/NAME") from None
    for name in ("user", "password"):
        parts.pop(name, None)
    try:
        host, dbname, port = parts.pop("host"), parts.pop("dbname"), int(parts.pop("port", "5432"))
    except (KeyError, ValueError):
        raise InvalidDsn("the database DSN needs a host, a database name and a numeric port") from None
    return ServerAddress(host=host, port=port, dbname=dbname, params=tuple(sorted(parts.items())))
