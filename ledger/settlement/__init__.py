"""When does a payout arrive, and why not yet?

Settlement batches come in as states with the bank's own times; nothing here moves money.
May import: storage, domain, and the text reader of `ledger.reconciliation`. Open first: `batch.py`, then `explaining.py`.
"""
