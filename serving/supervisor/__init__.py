"""How do all parts start, stay up and stop with one command?

Owns Postgres and the superuser's password, starts the processes, restarts what dies, leaves nothing behind.
May import every plane. Open first: `up.py`.
"""
