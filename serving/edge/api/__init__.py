"""Which JSON routes are there under /api/v1?

One module per subject; `schemas.py` holds what goes over the wire. May import the rest of `serving.edge`.
Open first: `conversations.py`.
"""
