"""Alembic's entry: runs the revisions on the connection that `storage.migrate` hands over, each in one transaction."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=None,
    transaction_per_migration=True,
    version_table_schema="public",
)
with context.begin_transaction():
    context.run_migrations()
