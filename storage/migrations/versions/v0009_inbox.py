"""Run `sql/0009_inbox.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0009_inbox")
