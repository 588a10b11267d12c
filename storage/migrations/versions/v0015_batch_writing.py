"""Run `sql/0015_batch_writing.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0015_batch_writing")
