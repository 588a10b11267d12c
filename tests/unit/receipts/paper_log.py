"""Receipts without a database: records, tree and signature by the real functions, with every id and time fixed.

Tests break single records before they are logged and signed, to see that the verifier does not trust a valid signature alone.
"""

from __future__ import annotations

import importlib.util
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.canonical import canonical_bytes, digest_of
from domain.receipt import LoggedRecord, Receipt
from gates.receipts.checkpoint import CheckpointSigner, sign_checkpoint
from gates.receipts.export import render_receipt
from gates.receipts.tree import append_leaves, hash_leaf, make_path

VERIFIER_FILE = Path(__file__).parents[3] / "gates" / "standalone" / "verify_receipt.py"
SIGNER = CheckpointSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
TENANT = "demo"
_PROPOSAL, _REVIEWED, _ALLOWED, _TRANSFER = (prefix + digit * 32 for prefix, digit in zip(
    ("prp_", "dec_", "dec_", "tfr_"), "abcd", strict=True
))  # fmt: skip
_ACTION: dict[str, Any] = {
    "tenant_id": TENANT,
    "proposal_id": _PROPOSAL,
    "kind": "refund",
    "transaction_id": "txn_5f2c81a09b44",
    "customer_id": "cus_0a1b2c3d4e5f",
    "account_id": "acc_00ff00ff00ff",
    "amount_minor": 4990,
    "currency": "EUR",
    "reason_code": "duplicate_charge",
}
_DIGEST = digest_of(_ACTION)


def load_verifier() -> ModuleType:
    """Import the standalone file as what it is: a file, not a module of ours."""
    spec = importlib.util.spec_from_file_location("verify_receipt", VERIFIER_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_records(*, approved: bool = False) -> list[dict[str, Any]]:
    """Return message, proposal, decision (with `approved`: review, approval, second decision) and posting."""
    message = _record(
        "e1", "message.received", "msg_1", {"message_id": "msg_1", "conversation_id": "cnv_1", "operator_id": "opr_ada"}
    )
    proposal_data = {
        "proposal_id": _PROPOSAL,
        "proposal_digest": "5" * 64,
        "message_event_id": message["event_id"],
        "message_id": "msg_1",
        "conversation_id": "cnv_1",
    }
    proposal = _record("e2", "proposal.submitted", _PROPOSAL, proposal_data)
    if not approved:
        allowed = _decision("e3", _ALLOWED, proposal, "allow")
        return [message, proposal, allowed, _posting(allowed)]
    reviewed = _decision("e3", _REVIEWED, proposal, "review")
    review_data = {
        "review_id": "rev_1",
        "approval_id": "apr_1",
        "decision_id": _REVIEWED,
        "proposal_id": _PROPOSAL,
        "action_digest": _DIGEST,
        "operator_id": "opr_cleo",
    }
    review = _record("e4", "review.approved", "rev_1", review_data)
    allowed = _decision("e5", _ALLOWED, proposal, "allow", previous=_REVIEWED, approval="apr_1")
    return [message, proposal, reviewed, review, allowed, _posting(allowed)]


def make_receipt(records: list[dict[str, Any]], *, signer: CheckpointSigner = SIGNER, tenant: str = TENANT) -> Receipt:
    """Log the records between others, sign, and cut the receipt of the last decision."""
    others = [_record(f"f{number}", "message.received", f"msg_o{number}", {}) for number in range(5)]
    logged = [*others[:3], *(deepcopy(record) for record in records), *others[3:]]
    leaves = [hash_leaf(canonical_bytes(record)) for record in logged]
    growth = append_leaves(0, {}, leaves)
    nodes = {(0, place): leaf for place, leaf in enumerate(leaves)} | dict(growth.nodes)
    decisions = [record for record in records if record["event_type"] == "gate.decided"]
    return Receipt(
        decision_id=decisions[-1]["subject"] if decisions else "dec_none",
        checkpoint=sign_checkpoint(signer, tenant_id=tenant, size=growth.size, root=growth.root),
        records=tuple(
            LoggedRecord(
                record=logged[place], index=place, path=tuple(item.hex() for item in make_path(place, growth.size, nodes))
            )
            for place in range(3, 3 + len(records))
        ),
    )


def make_file(records: list[dict[str, Any]]) -> bytes:
    """Write the receipt's file."""
    return render_receipt(make_receipt(records))


def _decision(
    event: str,
    decision_id: str,
    proposal: dict[str, Any],
    outcome: str,
    *,
    previous: str | None = None,
    approval: str | None = None,
) -> dict[str, Any]:
    data = {
        "decision_id": decision_id,
        "proposal_id": _PROPOSAL,
        "proposal_digest": proposal["data"]["proposal_digest"],
        "proposal_event_id": proposal["event_id"],
        "previous_decision_id": previous,
        "approval_id": approval,
        "outcome": outcome,
        "action": dict(_ACTION),
        "action_digest": _DIGEST,
        "policy_bundle_sha256": "6" * 64,
        "operator_id": "opr_ada",
        "decided_at": "2026-03-02T12:00:01.000000Z",
        "expires_at": "2026-03-02T12:01:01.000000Z",
    }
    return _record(event, "gate.decided", decision_id, data)


def _posting(decision: dict[str, Any]) -> dict[str, Any]:
    data = {
        "transfer_id": _TRANSFER,
        "decision_id": decision["subject"],
        "decision_event_id": decision["event_id"],
        "proposal_id": _PROPOSAL,
        "action_digest": _DIGEST,
        # Known answer: sha256 of `refund|demo|dec_cc…|txn_5f2c81a09b44|acc_00ff00ff00ff|4990|EUR`.
        "transfer_digest": "be93da3aef4a96952c7eb43ccdca48ce88b7ff6f57672c9d4fd800bf6985f509",
        "transaction_id": _ACTION["transaction_id"],
        "account_id": _ACTION["account_id"],
        "amount_minor": 4990,
        "currency": "EUR",
        "debit": "house:refunds:EUR",
        "debit_version": 7,
        "debit_balance_after_minor": -9990,
        "credit": "customer:acc_00ff00ff00ff",
        "credit_version": 1,
        "credit_balance_after_minor": 4990,
    }
    return _record("d" * 32, "ledger.transfer_posted", _TRANSFER, data)


def _record(event: str, event_type: str, subject: str, data: dict[str, Any]) -> dict[str, Any]:
    money = event_type in {"gate.decided", "ledger.transfer_posted"}
    return {
        "event_id": f"evt_{event.rjust(32, '0')}",
        "event_type": event_type,
        "source": "gate",
        "subject": subject,
        "tenant_id": TENANT,
        "occurred_at": "2026-03-02T12:00:02.000000Z",
        "recorded_at": "2026-03-02T12:00:02.000000Z",
        "account_id": _ACTION["account_id"] if money else None,
        "idempotency_key": None,
        "amount_minor": 4990 if money else None,
        "currency": "EUR" if money else None,
        "policy_decision": None,
        "policy_version": None,
        "model_score_ref": None,
        "trace_id": None,
        "data": data,
    }
