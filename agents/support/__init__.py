"""How is a support agent's message answered? Facts by code, a reading, a proposal, prose that was checked.

Open first: `graph.py`, then `nodes.py`.
"""
