"""Run `sql/0029_staff_proposals.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0029_staff_proposals")
