"""Run `sql/0035_reveals.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0035_reveals")
