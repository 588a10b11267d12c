"""Does the ledger keep its word when its processes are killed? Kills them, again and again, and counts the broken promises.

Imports domain, storage, ledger and gates; a database server and processes of its own. First: `rounds.py` (what a round is), then
`checks.py` (what is a violation), `workload.py` (what is asked), `planted.py` (faults that it must find).
"""
