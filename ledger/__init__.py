"""What was posted, with which balances, and does it add up?

Double entry in Postgres (`storage/migrations/sql/0004_ledger.sql`, `0013` to `0022`). Only `posting.py` posts what a decision
allows, and only `gates/execution.py` imports it. May import: storage, domain. Open first: `port.py`, then `docs/ledger.md`.
"""
