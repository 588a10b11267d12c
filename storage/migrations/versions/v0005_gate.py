"""Run `sql/0005_gate.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0005_gate")
