"""Run `sql/0006_ai.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0006_ai")
