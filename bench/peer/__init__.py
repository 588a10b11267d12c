"""On what is the ledger measured, and against what? A throw-away server, pgbench, TPC-B and, where its SQL is given, pgledger.

Imports storage and the standard library. First: `server.py`.
"""
