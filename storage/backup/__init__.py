"""How does everything come back after a lost disk or a wrong deletion, up to a moment of our choice, keys included?

May import: `domain`, other modules of `storage`, psycopg, cryptography, pydantic. Open first: `create.py`, then `recovery.py`.
"""
