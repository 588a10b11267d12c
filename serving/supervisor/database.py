"""The database of one machine: the embedded server or an outside one, its roles, its schema."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError

from domain.errors import SetupError
from serving.settings import Settings
from storage.backup.catalog import wal_dir_of
from storage.embedded import EmbeddedPostgres
from storage.server_address import ServerAddress, address_of
from storage.setup import set_up_database

DATABASE = "tellergate"


def make_embedded(settings: Settings) -> EmbeddedPostgres:
    """Lay out the embedded server with its archive; nothing is started."""
    return EmbeddedPostgres(
        home=settings.var_dir / "pg",
        secrets_dir=settings.secrets_dir,
        wal_dir=wal_dir_of(settings.backup_dir),
        archive_timeout_s=settings.wal_archive_timeout_s,
    )


class Database:
    """Start it, bring its schema to the newest, stop it. Only the supervisor and one-shot commands hold one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        outside = settings.database_dsn is not None
        self._embedded = None if outside else make_embedded(settings)

    @property
    def is_embedded(self) -> bool:
        """Say whether the server is ours."""
        return self._embedded is not None

    @property
    def pid(self) -> int | None:
        """Return the embedded server's process id while it runs."""
        return self._embedded.pid if self._embedded else None

    def is_running(self) -> bool:
        """Say whether the embedded server is alive; an outside one is not ours to watch."""
        return self._embedded is None or self._embedded.is_running()

    def start(self) -> ServerAddress:
        """Start the embedded server; return where our database is. Idempotent."""
        if self._embedded is not None:
            return self._embedded.start().with_dbname(DATABASE)
        assert self._settings.database_dsn is not None
        return address_of(self._settings.database_dsn)

    def prepare(self) -> str:
        """Make roles, database, schema and context key; return the schema's revision. Idempotent. Raises: SetupError."""
        maintenance = self._embedded.admin_dsn() if self._embedded else self._settings.database_dsn
        assert maintenance is not None
        try:
            return set_up_database(
                maintenance_dsn=maintenance,
                admin_dsn=self.admin_dsn,
                dbname=self.dbname,
                secrets_dir=self._settings.secrets_dir,
            )
        except (psycopg.Error, DBAPIError) as error:
            raise self._not_prepared(error) from error

    def _not_prepared(self, error: Exception) -> SetupError:
        # The first line says what; further ones quote statements and rows.
        cause = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        if self._embedded is not None:
            mend = "start again; if it stays, go back to the program version that ran last on this folder and report this line"
        else:
            mend = "look at TELLERGATE_DATABASE_DSN: server, database, administrator and password, PostgreSQL 16+ with pgvector"
        return SetupError(
            f"the database could not be prepared ({cause}); no step was half done. {mend}", code="database_not_prepared"
        )

    @property
    def dbname(self) -> str:
        """Return the name of our database."""
        if self._settings.database_dsn is not None:
            return address_of(self._settings.database_dsn).dbname
        return DATABASE

    @property
    def admin_dsn(self) -> str:
        """Return the administrator's DSN of our database: migrations only."""
        if self._embedded is not None:
            return self._embedded.admin_dsn(DATABASE)
        assert self._settings.database_dsn is not None
        return self._settings.database_dsn

    def stop(self) -> None:
        """Stop the embedded server. Idempotent."""
        if self._embedded is not None:
            self._embedded.stop()
