"""What binds a posting to its decision: one hash that the gate stores and the database computes again before it writes."""

from __future__ import annotations

import hashlib

from domain.proposal import Action


def digest_refund(action: Action, decision_id: str) -> bytes | None:
    """Return the SHA-256 (32 bytes) that `gate.decisions.transfer_digest` holds; None while an id is unresolved.

    `gate.digest_of_refund` in the database is the same function.
    """
    if action.transaction_id is None or action.account_id is None:
        return None
    parts = ("refund", action.tenant_id, decision_id, action.transaction_id, action.account_id, str(action.amount_minor))
    return hashlib.sha256("|".join((*parts, action.currency)).encode()).digest()
