"""How risky is this act, as an integer from 0 to 1000, and why?

Versioned models behind one port, scorecards and trees, and baselines of what is usual. Pure. May import: domain.
Open first: `model.py`, then `scorecard.py`.
"""
