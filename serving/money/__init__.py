"""The money process: what may others ask of gate and ledger, and what does it do by itself?

Decides, executes, takes people's answers to reviews, hands out receipts; sweeps up what a crash left and sequences events.
May import: gates, ledger, storage, domain. Open first: `app.py`, then `service.py`.
"""
