"""Run `sql/0013_transfers.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0013_transfers")
