"""May this proposed act happen, and what is known, decided and executed about it?

The policy plane: origins, facts, score, policy, decision, review, execution, receipts. May import: ledger, screening, storage,
domain. Never: masking, the AI plane, a model client or a web framework. Open first: `decide.py`, then `submission.py`.
"""
