"""How are the score's artifacts made from the past, by a command that anyone can repeat?

`python -m training.score` and `python -m training.baselines`. Integers only: the same records and seed give the same bytes.
Nothing made here is in force: it is a candidate for the registry. May import: gates.score, demo, storage.registry, domain, numpy.
Open first: `score.py`, then `rows.py` and `split.py`.
"""
