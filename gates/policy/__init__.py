"""Which rules match, and which bundle holds them?

Cedar through cedarpy, as two sets, and the life of a bundle. May import: domain, storage, and what the gate decides with.
Open first: `evaluation.py`, then `bundle.py`, then `lifecycle.py`.
"""
