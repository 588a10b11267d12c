"""How do a bank's records come in? By one door: `ingest_file`.

Streams JSONL or CSV, checks every row, puts bad rows into quarantine, swaps regulated values for tokens and upserts the rest.
May import: masking (never `masking.unmask`), storage, domain; `demo_load.py` also demo. Open first: `ingest.py`, then `rows.py`.
"""
