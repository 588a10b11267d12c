"""How does long work get done: taking records in, indexing the knowledge base?

The jobs process: a small API on a Unix socket for the edge, and procrastinate's workers beside it. Open first: `app.py`.
"""
