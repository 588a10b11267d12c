"""What binds a posting to its decision: one id and one hash that the gate stores and the database compares before it writes."""

from __future__ import annotations

import hashlib
from typing import Literal
from uuid import UUID

from domain.decision import Decision, Outcome
from domain.ids import require_id, uuid_of
from domain.proposal import MONEY_KINDS, Action, ActionKind

PlannedKind = Literal["none", "posted", "pending", "post", "void"]
"""What a decision carries out: a kind of transfer (domain.transfer), or an act that moves no money."""

# What must be resolved before an act of a kind can be carried out; `gate.decisions` refuses a row that lacks it.
_NEEDED = {
    ActionKind.REFUND: ("transaction_id", "account_id"),
    ActionKind.FEE_REVERSAL: ("transaction_id", "account_id"),
    ActionKind.GOODWILL_CREDIT: ("account_id",),
    ActionKind.PROVISIONAL_CREDIT: ("subject_id", "account_id"),
    ActionKind.PAYMENT: ("account_id", "beneficiary_id"),
    ActionKind.HOLD_RELEASE: ("subject_id",),
    ActionKind.DISPUTE_WRITEOFF: ("subject_id", "account_id"),
    ActionKind.CARD_BLOCK: ("subject_id",),
    ActionKind.BENEFICIARY_CHANGE: ("beneficiary_id", "details"),
    ActionKind.CASE_CLOSE: ("subject_id",),
    ActionKind.KYC_DECISION: ("verdict",),
}


def plan_of(decision: Decision) -> tuple[PlannedKind, UUID | None] | None:
    """Return what a decision carries out, and the hold that it posts or voids; None when it carries out nothing.

    `gate.plan_act` in the database is the same, and also looks whether the hold is one of the chain's.
    """
    action = decision.action
    needed = _NEEDED.get(action.kind)
    if needed is None or action.customer_id is None or any(getattr(action, name) is None for name in needed):
        return None
    held = None if decision.hold_transfer_id is None else uuid_of(decision.hold_transfer_id)
    if decision.outcome is Outcome.HOLD:
        places = action.kind in MONEY_KINDS and action.kind is not ActionKind.HOLD_RELEASE and held is None
        return ("pending", None) if places else None
    if decision.outcome is not Outcome.ALLOW:
        return None
    if action.kind is ActionKind.HOLD_RELEASE:
        return "void", uuid_of(action.subject_id or "")
    if action.kind not in MONEY_KINDS:
        return "none", None
    return ("posted", None) if held is None else ("post", held)


def digest_decision(decision: Decision) -> bytes | None:
    """Return the SHA-256 (32 bytes) that `gate.decisions.transfer_digest` holds; None when the decision carries out nothing.

    A refund that is not held has its own form, whatever was decided on it.
    """
    plan = plan_of(decision)
    if decision.action.kind is ActionKind.REFUND and decision.outcome is not Outcome.HOLD and decision.hold_transfer_id is None:
        return digest_refund(decision.action, decision.decision_id)
    if plan is None:
        return None
    kind, target_id = plan
    return digest_act(
        tenant_id=decision.tenant_id,
        decision_id=decision.decision_id,
        action_digest=decision.action_digest,
        kind=kind,
        target_id=target_id,
    )


def digest_act(*, tenant_id: str, decision_id: str, action_digest: str, kind: PlannedKind, target_id: UUID | None) -> bytes:
    """Return the SHA-256 (32 bytes) that binds an act to its decision. `gate.digest_of_act` is the same function."""
    target = "" if target_id is None else str(target_id)
    return hashlib.sha256(f"act|{tenant_id}|{decision_id}|{action_digest}|{kind}|{target}".encode()).digest()


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
