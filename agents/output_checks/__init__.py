"""May this sentence of a model be shown? Pure rules first, then guardrails-ai validators around them. Open first: `rules.py`."""
