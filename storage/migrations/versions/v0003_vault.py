"""Run `sql/0003_vault.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0003_vault")
