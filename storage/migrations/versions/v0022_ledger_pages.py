"""Run `sql/0022_ledger_pages.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0022_ledger_pages")
