"""What was posted, with which balances, and does it add up?

Double entry in Postgres (`storage/migrations/sql/0004_ledger.sql`, `0007_execution.sql`); only `posting.py` writes, and only
`gates/execution.py` imports it. May import: storage, domain. Open first: `results.py`, then `posting.py`.
"""
