"""Run `sql/0016_batch_calls.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0016_batch_calls")
