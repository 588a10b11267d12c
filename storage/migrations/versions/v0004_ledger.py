"""Run `sql/0004_ledger.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0004_ledger")
