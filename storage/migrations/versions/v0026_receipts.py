"""Run `sql/0026_receipts.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0026_receipts")
