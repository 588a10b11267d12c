"""Which steps build the schema? May import: `storage.job_schema`. Open first: `sql_files.py`, then `sql/0001_foundation.sql`."""
