"""How does the assistant answer, and what does it put forward?

LangGraph graphs over masked facts, checks of what a model wrote, templates of the same shape. May import: retrieval, prompts,
masking, storage, domain; never ledger or gates. A model is reached through `ports.ChatModel` only.
Open first: `support/graph.py`.
"""
