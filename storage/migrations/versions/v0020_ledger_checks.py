"""Run `sql/0020_ledger_checks.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0020_ledger_checks")
