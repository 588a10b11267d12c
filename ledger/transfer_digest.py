"""What binds a posting to its decision: one id and one hash that the gate stores and the database compares before it writes."""

from __future__ import annotations

import hashlib
from uuid import UUID

from domain.ids import require_id, uuid_of
from domain.proposal import Action


def digest_refund(action: Action, decision_id: str) -> bytes | None:
    """Return the SHA-256 (32 bytes) that `gate.decisions.transfer_digest` holds; None while an id is unresolved.

    `gate.digest_of_refund` in the database is the same function.
    """
    if action.transaction_id is None or action.account_id is None:
        return None
    parts = ("refund", action.tenant_id, decision_id, action.transaction_id, action.account_id, str(action.amount_minor))
    return hashlib.sha256("|".join((*parts, action.currency)).encode()).digest()


def derive_transfer_id(decision_id: str) -> UUID:
    """Derive the one transfer id that a decision can have, so that a repeat needs no memory.

    A UUIDv7 with the decision's time and bits of its hash. Raises: InvalidId.
    """
    milliseconds = uuid_of(require_id(decision_id, "dec")).int >> 80
    bits = int.from_bytes(hashlib.sha256(f"transfer|{decision_id}".encode()).digest()[:16], "big") >> 54
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | ((bits >> 62) << 64) | (0b10 << 62) | (bits & ((1 << 62) - 1)))
