"""What does a tenant's year of records look like, from a fixed seed?

Pure: the same seed and `as_of` give the same bytes. Every identity is invented; numbers come from test ranges and pass
their checksums. May import: the standard library, schwifty, domain. Open first: `generator.py`, then `scenarios.py`.
"""
