"""Would the same input give the same decision again, and what would another policy have said?

Pure over recorded decisions: nothing here writes, calls a model, or reaches a vault. May import: gates' decide, policy and score,
storage, domain. Open first: `replay.py`, then `backtest.py`.
"""
