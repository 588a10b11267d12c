"""What do we need of a ledger of record that is not ours, or that is reached as if it were not?

The port, its errors, and our own ledger behind it; pure, no HTTP (`serving.outside_ledger` has that). May import
`ledger.port` and domain. Open first: `port.py`.
"""
