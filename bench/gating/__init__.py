"""How fast is the gate, and does it hold: the pure decision, the whole path on real tables, counted attacks, replay?

Imports domain, storage, ledger, gates, serving.money, bench.peer; `counts.py` also the counts of `tests`. First: `load.py`.
"""
