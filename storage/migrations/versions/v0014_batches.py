"""Run `sql/0014_batches.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0014_batches")
