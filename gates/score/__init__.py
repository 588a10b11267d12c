"""How risky is this act, as an integer from 0 to 1000, and why?

A versioned scorecard file and its pure scorer. May import: domain. Open first: `scorecard.py`.
"""
