"""How do people and programs talk to us: pages, JSON, sign-in, and the life of one turn of a conversation?

Masks what comes in, unmasks what goes out for what this user may see, and asks the agents and the money process for the rest.
May import: masking, storage, domain, other parts of serving. Never gates, ledger or agents.
Open first: `conversation.py`, then `app.py`.
"""
