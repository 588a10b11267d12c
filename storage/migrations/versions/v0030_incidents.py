"""Run `sql/0030_incidents.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0030_incidents")
