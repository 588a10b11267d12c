"""Run `sql/0027_reviews.sql`."""

from storage.migrations.sql_files import sql_revision

revision, down_revision, upgrade = sql_revision("0027_reviews")
