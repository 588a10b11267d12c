"""How is a ledger elsewhere spoken to over HTTP, and how does ours answer when it is the one elsewhere?

Two ends of one small protocol (docs/bank.md): a client that is the port, and an application that serves the port. May import
`ledger.outside`, domain and `serving.bounded_http`. Open first: `wire.py`.
"""
