"""Does the bank's statement say the same as our ledger?

Reads CSV and camt.053, matches lines against transfers by written rules, and opens a case for whatever is left.
May import: storage, domain. Open first: `rules.py`, then `matching.py` (pure), then `importing.py`.
"""
