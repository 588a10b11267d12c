"""Which rules match, and which bundle holds them?

Cedar through cedarpy, as two sets. May import: domain, storage. Open first: `evaluation.py`, then `bundle.py`.
"""
