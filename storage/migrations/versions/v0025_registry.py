"""Run `sql/0025_registry.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0025_registry")
