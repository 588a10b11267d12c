"""How does the bank hear what was posted here, and how do we hear what became of it?

The port that a bank is reached by, its two adapters (HTTP and folders of files), the relay that sends, and the acts that follow
what the bank says. May import storage, domain, `masking.validators` and httpx. Open first: `port.py`, then `relay.py`.
"""
