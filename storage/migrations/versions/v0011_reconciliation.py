"""Run `sql/0011_reconciliation.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0011_reconciliation")
