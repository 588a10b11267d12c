"""One decide document of each kind: what the starter policy allows, or sends to review with that one reason. All invented."""

from __future__ import annotations

import copy
from dataclasses import fields
from typing import Any

from domain.proposal import ActionKind
from gates.facts import VELOCITY_SUBJECTS, VELOCITY_WINDOWS_H, BaselineFacts

NOW = "2026-11-20T12:00:00Z"
DETAILS = "<IBAN_7f3a9k2m-q4>"
_CUSTOMER, _ACCOUNT, _TRANSACTION, _MERCHANT = "cus_example", "acc_example", "txn_example", "mrc_example"
_CHARGE_MINOR = 1290
_INVESTIGATOR, _ONBOARDING, _SUPPORT = "is_investigator", "is_onboarding", "is_support"


def example_document(kind: ActionKind) -> dict[str, Any]:
    """Return a fresh document of this kind; `unlisted` is denied."""
    return copy.deepcopy(_DOCUMENTS.get(kind) or _make(kind, {"reason_code": "other"}, "nothing to do"))


def list_fact_names() -> frozenset[str]:
    """Return every fact of the catalog: those of the examples, and those that are there only while baselines are in force."""
    usual = frozenset(f"baseline.{fact.name}" for fact in fields(BaselineFacts))
    return usual | frozenset(
        f"{group}.{fact}" for document in _DOCUMENTS.values() for group, facts in document["facts"].items() for fact in facts
    )


def _make(
    kind: ActionKind,
    arguments: dict[str, Any],
    message: str,
    *,
    role: str = _SUPPORT,
    records: tuple[dict[str, Any], ...] = (),
    facts: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    groups = _common_facts() | (facts or {})
    groups["operator"] = groups["operator"] | {role: True}
    return {
        "proposal": {"kind": kind.value, "arguments": arguments},
        "facts": groups,
        "context": [
            {"origin": "staff", "text": message},
            *({"origin": "ledger", "record": {"customer_id": _CUSTOMER} | record} for record in records),
        ],
        "now": NOW,
    }


def _common_facts() -> dict[str, dict[str, Any]]:
    return {
        "customer": {
            "kyc_status": "verified", "age_days": 900, "refunds_1d_count": 0, "refunds_30d_count": 0, "refunds_30d_minor": 0,
            "refunds_total_count": 0, "failed_logins_7d_count": 0, "disputes_365d_count": 0, "new_devices_24h_count": 0,
            "foreign_logins_7d_count": 0, "challenged_logins_24h_count": 0,
        },
        "operator": {
            "active": True, "is_support": False, "is_investigator": False, "is_onboarding": False, "is_approver": False,
            "is_auditor": False, "is_admin": False, "limit_minor": 20_000, "refunds_1d_count": 0,
        },
        "conversation": {
            "message_matches": True, "message_is_last": True, "message_age_s": 4, "last_message_id": "msg_example",
            "earlier_proposals_count": 0,
        },
        "approval": {"count": 0},
        "velocity": {
            f"{subject}_{window}_{measure}": 0
            for subject in VELOCITY_SUBJECTS
            for window in VELOCITY_WINDOWS_H
            for measure in ("count", "minor")
        },
        "load": {"source_1h_count": 0, "source_open_count": 0, "tenant_1h_count": 0},
    }  # fmt: skip


def _transaction_facts(**changed: Any) -> dict[str, Any]:
    usual = {
        "kind": "card_payment", "status": "posted", "currency": "EUR", "amount_minor": _CHARGE_MINOR,
        "remaining_minor": _CHARGE_MINOR, "refund_count": 0, "age_days": 3, "is_duplicate": True, "duplicate_gap_s": 60,
        "owner_matches": True, "is_disputed": False, "named_by_staff": True,
    }  # fmt: skip
    return usual | changed


_ACCOUNT_FACTS = {"status": "active", "currency": "EUR", "ledger_version": 0}
_DISPUTE_FACTS = {
    "owner_matches": True, "state": "open", "charge_minor": _CHARGE_MINOR, "currency": "EUR", "age_days": 15,
    "age_business_days": 11, "is_new_account": False, "provisional_minor": 0, "writeoff_minor": 0, "provisional_due": True,
    "is_overdue": False,
}  # fmt: skip
_BENEFICIARY_FACTS = {
    "owner_matches": True, "currency": "EUR", "screening_state": "clear", "is_verified": True, "age_hours": 2000,
    "changed_30d_count": 0, "paid_count": 3, "max_paid_minor": 10_000,
}  # fmt: skip
_MONEY = {"amount_minor": _CHARGE_MINOR, "currency": "EUR"}
_TRANSACTION_RECORD = {
    "handle": "T1", "kind": "transaction", "id": _TRANSACTION, "account_id": _ACCOUNT, "merchant_id": _MERCHANT,
    "remaining_minor": _CHARGE_MINOR, **_MONEY,
}  # fmt: skip
_ACCOUNT_RECORD = {"handle": "A1", "kind": "account", "id": _ACCOUNT, "currency": "EUR"}
_BENEFICIARY_RECORD = {"handle": "B1", "kind": "beneficiary", "id": "ben_example", "currency": "EUR", "token": DETAILS}
_DISPUTE_RECORD = {
    "handle": "D1", "kind": "dispute", "id": "dsp_example", "account_id": _ACCOUNT, "transaction_id": _TRANSACTION,
    "merchant_id": _MERCHANT, **_MONEY,
}  # fmt: skip
_DOCUMENTS: dict[ActionKind, dict[str, Any]] = {
    ActionKind.REFUND: _make(
        ActionKind.REFUND,
        {"transaction": "T1", **_MONEY, "reason_code": "duplicate_charge"},
        "T1 was charged twice, refund it please",
        records=(_TRANSACTION_RECORD,),
        facts={"transaction": _transaction_facts(), "account": _ACCOUNT_FACTS},
    ),
    ActionKind.FEE_REVERSAL: _make(
        ActionKind.FEE_REVERSAL,
        {"transaction": "T1", **_MONEY, "reason_code": "fee_error"},
        "T1 is a fee taken in error, reverse it",
        records=(_TRANSACTION_RECORD,),
        facts={"transaction": _transaction_facts(kind="fee", is_duplicate=False), "account": _ACCOUNT_FACTS},
    ),
    ActionKind.GOODWILL_CREDIT: _make(
        ActionKind.GOODWILL_CREDIT,
        {"account": "A1", **_MONEY, "reason_code": "goodwill"},
        "credit EUR 12.90 to A1 for the long wait",
        records=(_ACCOUNT_RECORD,),
        facts={"account": _ACCOUNT_FACTS},
    ),
    ActionKind.PROVISIONAL_CREDIT: _make(
        ActionKind.PROVISIONAL_CREDIT,
        {"dispute": "D1", **_MONEY, "reason_code": "dispute"},
        "D1 is due for its provisional credit",
        role=_INVESTIGATOR,
        records=(_DISPUTE_RECORD,),
        facts={"dispute": _DISPUTE_FACTS, "account": _ACCOUNT_FACTS},
    ),
    ActionKind.DISPUTE_WRITEOFF: _make(
        ActionKind.DISPUTE_WRITEOFF,
        {"dispute": "D1", **_MONEY, "reason_code": "dispute"},
        "write D1 off",
        role=_INVESTIGATOR,
        records=(_DISPUTE_RECORD,),
        facts={"dispute": _DISPUTE_FACTS | {"provisional_minor": _CHARGE_MINOR}, "account": _ACCOUNT_FACTS},
    ),
    ActionKind.PAYMENT: _make(
        ActionKind.PAYMENT,
        {"account": "A1", "beneficiary": "B1", **_MONEY, "reason_code": "bill"},
        "pay EUR 12.90 from A1 to B1",
        records=(_ACCOUNT_RECORD, _BENEFICIARY_RECORD),
        facts={"account": _ACCOUNT_FACTS, "beneficiary": _BENEFICIARY_FACTS},
    ),
    ActionKind.HOLD_RELEASE: _make(
        ActionKind.HOLD_RELEASE,
        {"hold": "H1", "reason_code": "investigation_done"},
        "release H1",
        role=_INVESTIGATOR,
        records=({"handle": "H1", "kind": "hold", "id": "tfr_example", "account_id": _ACCOUNT, **_MONEY},),
        facts={
            "hold": {"owner_matches": True, "state": "pending", "amount_minor": _CHARGE_MINOR, "currency": "EUR"},
            "account": _ACCOUNT_FACTS,
        },
    ),
    ActionKind.CARD_BLOCK: _make(
        ActionKind.CARD_BLOCK,
        {"card": "C1", "reason_code": "card_compromised"},
        "block C1, it was stolen",
        records=({"handle": "C1", "kind": "card", "id": "crd_example", "account_id": _ACCOUNT},),
        facts={"card": {"owner_matches": True, "status": "active"}},
    ),
    ActionKind.BENEFICIARY_CHANGE: _make(
        ActionKind.BENEFICIARY_CHANGE,
        {"beneficiary": "B1", "details": DETAILS, "reason_code": "customer_request"},
        f"change B1 to {DETAILS}, confirmed by phone",
        role=_ONBOARDING,
        records=({**_BENEFICIARY_RECORD, "token": None},),
        facts={"beneficiary": _BENEFICIARY_FACTS},
    ),
    ActionKind.CASE_CLOSE: _make(
        ActionKind.CASE_CLOSE,
        {"case": "K1", "reason_code": "investigation_done"},
        "close K1",
        role=_INVESTIGATOR,
        records=({"handle": "K1", "kind": "case", "id": "cas_example"},),
        facts={"case": {"kind": "reconciliation_break", "state": "open"}},
    ),
    ActionKind.KYC_DECISION: _make(
        ActionKind.KYC_DECISION,
        {"verdict": "clear", "reason_code": "kyc"},
        "the papers are fine",
        role=_ONBOARDING,
    ),
}
