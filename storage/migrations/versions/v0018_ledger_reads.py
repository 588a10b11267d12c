"""Run `sql/0018_ledger_reads.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0018_ledger_reads")
