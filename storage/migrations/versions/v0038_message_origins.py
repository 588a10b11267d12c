"""Run `sql/0038_message_origins.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0038_message_origins")
