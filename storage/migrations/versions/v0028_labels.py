"""Run `sql/0028_labels.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0028_labels")
