"""Run `sql/0012_bank.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0012_bank")
