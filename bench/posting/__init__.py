"""How fast is our own ledger, as built: real migrations, roles, tenant context and decisions, called as role executor?

Imports domain, storage, ledger, gates and bench.peer. First: `tenant.py` (what is set up), then `kinds.py` (what is measured).
"""
