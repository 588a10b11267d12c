"""Can an outsider check, offline, what was decided and posted?

A Merkle tree over all events of a tenant, a signed checkpoint for each batch, and receipts cut out of both. The verifier is
`gates/standalone/verify_receipt.py`. May import: storage, domain, cryptography. Open first: `sequencing.py`, then `tree.py`.
"""
