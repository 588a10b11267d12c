"""Run `sql/0019_ledger_setup.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0019_ledger_setup")
