"""Which test notices which fault in the ledger's functions? Open `faults.py`; `python -m tests.mutation.ledger` runs all."""
