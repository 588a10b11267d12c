"""Run `sql/0036_vault_upkeep.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0036_vault_upkeep")
