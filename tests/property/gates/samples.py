"""Seeded acts with facts, thick around the boundaries of the starter policy."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from domain.decision import ScoreResult
from domain.origin import Origin
from domain.proposal import Action, ActionKind, ArgumentOrigin, ModelTrace
from gates.decide import DecisionInput, FactValue
from tests.property.gates.oracle import Act

TRACE = ModelTrace(
    prompt_id="refund_choice@1", prompt_sha256="1" * 64, masked_prompt_sha256="2" * 64, model="none", generated_by="template"
)
_CURRENCIES = ("EUR", "USD", "JPY", "KWD", "PLN", "SEK", "GBP", "CHF", "BRL", "XXX")
_EDGES = (
    10_000, 15_000, 30_000, 50_000, 100_000, 150_000, 225_000, 300_000, 450_000, 500_000, 750_000, 1_500_000, 2_500_000,
    5_000_000, 7_500_000, 15_000_000, 25_000_000,
)  # fmt: skip
_KINDS = [kind for kind in ActionKind if kind is not ActionKind.UNLISTED]
_GROUPS = {
    ActionKind.REFUND: ("transaction", "account"), ActionKind.FEE_REVERSAL: ("transaction", "account"),
    ActionKind.GOODWILL_CREDIT: ("account",), ActionKind.PAYMENT: ("account", "beneficiary"),
    ActionKind.PROVISIONAL_CREDIT: ("dispute", "account", "transaction"),
    ActionKind.DISPUTE_WRITEOFF: ("dispute", "account", "transaction"),
    ActionKind.HOLD_RELEASE: ("hold", "account"), ActionKind.CARD_BLOCK: ("card",),
    ActionKind.BENEFICIARY_CHANGE: ("beneficiary",), ActionKind.CASE_CLOSE: ("case",),
    ActionKind.KYC_DECISION: (), ActionKind.UNLISTED: ("transaction", "account"),
}  # fmt: skip
_ARGUMENTS = {
    ActionKind.REFUND: ("transaction", "amount_minor", "currency"),
    ActionKind.FEE_REVERSAL: ("transaction", "amount_minor", "currency"),
    ActionKind.GOODWILL_CREDIT: ("account", "amount_minor", "currency"),
    ActionKind.PAYMENT: ("account", "beneficiary", "amount_minor", "currency"),
    ActionKind.PROVISIONAL_CREDIT: ("dispute", "amount_minor", "currency"),
    ActionKind.DISPUTE_WRITEOFF: ("dispute", "amount_minor", "currency"), ActionKind.HOLD_RELEASE: ("hold",),
    ActionKind.CARD_BLOCK: ("card",), ActionKind.BENEFICIARY_CHANGE: ("beneficiary", "details"),
    ActionKind.CASE_CLOSE: ("case",), ActionKind.KYC_DECISION: ("verdict",),
    ActionKind.UNLISTED: ("transaction", "amount_minor"),
}  # fmt: skip
_MONEYLESS = {ActionKind.CARD_BLOCK, ActionKind.BENEFICIARY_CHANGE, ActionKind.CASE_CLOSE, ActionKind.KYC_DECISION}


def make_facts(rng: Random, *, amount_minor: int, currency: str, kind: ActionKind = ActionKind.REFUND) -> dict[str, FactValue]:
    """Draw facts. Most are harmless, so that single rules are seen alone."""
    facts = _draw_people(rng, amount_minor=amount_minor, kind=kind) | _draw_velocity(rng, amount_minor=amount_minor)
    for group in _GROUPS[kind]:
        if rng.random() < 0.95:
            facts |= _DRAW[group](rng, amount_minor, currency, kind)
    if rng.random() < 0.3:
        flags = [_rarely(rng, rng.randrange(1, 4), 0, 0.2) for _ in range(2)]
        facts |= {
            "baseline.customer_flags_count": flags[0], "baseline.merchant_flags_count": flags[1],
            "baseline.reasons": "above_usual_amount" if flags[0] else "", "baseline.refs": "0123456789ab",
        }  # fmt: skip
    if rng.random() < 0.03:
        group = rng.choice(sorted(_DRAW))
        facts |= _DRAW[group](rng, amount_minor, currency, kind)
    return facts


def make_sample(rng: Random) -> tuple[DecisionInput, Act]:
    """Draw one act for the gate, and the same act for the oracle."""
    kind = rng.choice(_KINDS) if rng.random() < 0.98 else ActionKind.UNLISTED
    currency = rng.choice(_CURRENCIES) if rng.random() < 0.5 else "EUR"
    near_edge = rng.choice(_EDGES) + rng.randrange(-1, 2)
    amount = 0 if rng.random() < 0.04 else rng.choice([rng.randrange(1, 30_000), rng.randrange(1, 9_000), near_edge])
    if kind in _MONEYLESS:
        amount, currency = 0, "XXX"
    origins = {argument: _draw_origin(rng, argument) for argument in _ARGUMENTS[kind] if rng.random() < 0.97}
    reason_code = rng.choice(["duplicate_charge", "other", "goods_not_received"])
    verdict = rng.choice(["clear", "review", "reject"]) if kind is ActionKind.KYC_DECISION else None
    score = rng.choice([0, 40, 300, 599, 600, 601, 1000])
    act = Act(
        kind=kind.value, amount_minor=amount, currency=currency, reason_code=reason_code, verdict=verdict, score=score,
        origins={argument: origin.value for argument, origin in origins.items()},
    )  # fmt: skip
    request = DecisionInput(
        decision_id="dec_" + f"{rng.getrandbits(128):032x}",
        action=Action(
            tenant_id="demo", proposal_id="prp_" + "0" * 32, kind=kind, transaction_id="txn_1", customer_id="cus_1",
            account_id="acc_1", amount_minor=amount, currency=currency, reason_code=reason_code, verdict=verdict,
        ),
        operator_id="opr_ada",
        origins=tuple(ArgumentOrigin(argument=argument, origin=origin) for argument, origin in origins.items()),
        facts=make_facts(rng, amount_minor=amount, currency=currency, kind=kind),
        score=ScoreResult(score=score, reason_codes=(), model_ref="scorecard:test"),
        trace=TRACE,
    )  # fmt: skip
    return request, act


def make_malformed(rng: Random) -> DecisionInput:
    """Take an act that is allowed and break one or two of its facts."""
    request = allowed_request()
    facts: dict[str, Any] = dict(request.facts)
    for name in rng.sample(sorted(facts), rng.choice([1, 1, 2])):
        breakage = rng.choice(["drop", "none", "float", "huge", "text", "nan", "list", "dict", "bytes", "control", "long"])
        if breakage == "drop":
            del facts[name]
        elif breakage == "text":
            facts[name] = "12" if not isinstance(facts[name], str) else 12
        else:
            facts[name] = {
                "none": None, "float": 1.5, "huge": 2**64 + rng.getrandbits(8), "nan": float("nan"), "list": [1],
                "dict": {"__extn": {"fn": "decimal", "arg": "1.0"}}, "bytes": b"1", "control": "posted\x00", "long": "a" * 5000,
            }[breakage]  # fmt: skip
    if rng.random() < 0.1:
        facts[rng.choice(["", "x", "score.score", "proposed.amount_minor", "a.b.c", "origins.amount_minor", "Ä.b"])] = 1
    return replace(request, facts=facts)


def allowed_request() -> DecisionInput:
    """Return a small true duplicate of a verified customer: the starter policy allows it."""
    facts: dict[str, FactValue] = {
        "grant.granted": True,
        "transaction.kind": "card_payment", "transaction.status": "posted", "transaction.currency": "EUR",
        "transaction.amount_minor": 1290, "transaction.remaining_minor": 1290, "transaction.refund_count": 0,
        "transaction.age_days": 3, "transaction.is_duplicate": True, "transaction.duplicate_gap_s": 60,
        "transaction.owner_matches": True,
        "transaction.is_disputed": False, "transaction.named_by_staff": False,
        "account.status": "active", "account.currency": "EUR", "account.ledger_version": 7,
        "customer.kyc_status": "verified", "customer.age_days": 900, "customer.refunds_1d_count": 0,
        "customer.refunds_30d_count": 0, "customer.refunds_30d_minor": 0, "customer.refunds_total_count": 0,
        "customer.failed_logins_7d_count": 0, "customer.challenged_logins_24h_count": 0,
        "customer.foreign_logins_7d_count": 0, "customer.new_devices_24h_count": 0, "customer.disputes_365d_count": 0,
        "operator.active": True, "operator.is_support": True, "operator.is_investigator": False,
        "operator.is_onboarding": False, "operator.is_approver": False, "operator.is_auditor": False,
        "operator.is_admin": False, "operator.limit_minor": 20_000, "operator.refunds_1d_count": 0,
        "conversation.message_matches": True, "conversation.message_is_last": True, "conversation.message_age_s": 4,
        "conversation.last_message_id": "msg_" + "0" * 32, "conversation.earlier_proposals_count": 0,
        "approval.count": 0,
        "load.source_1h_count": 0, "load.source_open_count": 0, "load.tenant_1h_count": 0,
        **dict.fromkeys(_VELOCITY, 0),
    }  # fmt: skip
    return DecisionInput(
        decision_id="dec_" + "a" * 32,
        action=Action(
            tenant_id="demo", proposal_id="prp_" + "0" * 32, kind=ActionKind.REFUND, transaction_id="txn_1",
            customer_id="cus_1", account_id="acc_1", amount_minor=1290, currency="EUR", reason_code="duplicate_charge",
        ),
        operator_id="opr_ada",
        origins=(
            ArgumentOrigin(argument="transaction", origin=Origin.LEDGER),
            ArgumentOrigin(argument="amount_minor", origin=Origin.LEDGER),
        ),
        facts=facts,
        score=ScoreResult(score=40, reason_codes=(), model_ref="scorecard:test"),
        trace=TRACE,
    )  # fmt: skip


_VELOCITY = tuple(
    f"velocity.{subject}_{window}_{measure}"
    for subject in ("customer", "operator", "merchant", "beneficiary", "tenant")
    for window in ("1h", "24h", "7d", "30d")
    for measure in ("count", "minor")
)


def _rarely(rng: Random, odd: Any, usual: Any, share: float = 0.06) -> Any:
    return odd if rng.random() < share else usual


def _draw_origin(rng: Random, argument: str) -> Origin:
    if rng.random() < 0.2:
        return rng.choice(list(Origin))
    return Origin.STAFF if argument in ("beneficiary", "details", "dispute", "card", "case") else Origin.LEDGER


def _draw_people(rng: Random, *, amount_minor: int, kind: ActionKind) -> dict[str, FactValue]:
    usual_role = {
        ActionKind.PROVISIONAL_CREDIT: "investigator", ActionKind.DISPUTE_WRITEOFF: "investigator",
        ActionKind.HOLD_RELEASE: "investigator", ActionKind.CASE_CLOSE: "investigator",
        ActionKind.KYC_DECISION: "onboarding",
    }.get(kind, "support")  # fmt: skip
    roles = {role: rng.random() < 0.2 for role in ("support", "investigator", "onboarding", "approver", "auditor", "admin")}
    roles[usual_role] = _rarely(rng, False, True, 0.12)
    return {
        "grant.granted": _rarely(rng, False, True),
        "customer.kyc_status": _rarely(rng, rng.choice(["pending", "review", "rejected"]), "verified"),
        "customer.age_days": rng.randrange(0, 4000),
        "customer.refunds_1d_count": _rarely(rng, rng.randrange(1, 5), 0, 0.2),
        "customer.refunds_30d_count": _rarely(rng, rng.randrange(4, 8), 0, 0.2),
        "customer.refunds_30d_minor": _rarely(rng, rng.choice(_EDGES) + rng.randrange(-1, 2), 0, 0.2),
        "customer.refunds_total_count": rng.randrange(0, 14),
        "customer.failed_logins_7d_count": rng.randrange(0, 5),
        "customer.challenged_logins_24h_count": rng.randrange(0, 3),
        "customer.foreign_logins_7d_count": _rarely(rng, 1, 0, 0.2),
        "customer.new_devices_24h_count": _rarely(rng, 1, 0, 0.2),
        "customer.disputes_365d_count": rng.randrange(0, 3),
        "operator.active": _rarely(rng, False, True),
        **{f"operator.is_{role}": held for role, held in roles.items()},
        "operator.limit_minor": max(0, amount_minor + rng.choice([-1, 0, 1, 10_000, 10**7, 10**9])),
        "operator.refunds_1d_count": _rarely(rng, rng.randrange(28, 32), 0, 0.2),
        "conversation.message_matches": _rarely(rng, False, True, 0.04),
        "conversation.message_is_last": _rarely(rng, False, True),
        "conversation.message_age_s": _rarely(rng, rng.randrange(898, 903), 5, 0.2),
        "conversation.last_message_id": "msg_" + "0" * 32,
        "conversation.earlier_proposals_count": _rarely(rng, 1, 0),
        "approval.count": rng.choice([0, 0, 0, 1, 2]),
    }  # fmt: skip


def _draw_velocity(rng: Random, *, amount_minor: int) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {
        name: 0 if rng.random() < 0.9 else rng.randrange(0, 40 if name.endswith("count") else 10**6) for name in _VELOCITY
    }
    facts["velocity.customer_24h_count"] = _rarely(rng, rng.randrange(3, 7), 0, 0.2)
    facts["velocity.customer_30d_count"] = _rarely(rng, rng.randrange(1, 5), 0, 0.2)
    facts["velocity.operator_24h_count"] = _rarely(rng, rng.randrange(28, 32), 0, 0.2)
    for subject in ("customer", "beneficiary"):
        near_limit = rng.choice([0, 1, 2, 9_999, 10_000, 10_001, 10**7, 10**7 + 1, 10**9 - amount_minor])
        facts[f"velocity.{subject}_24h_minor"] = _rarely(rng, max(0, near_limit), 0, 0.3)
    facts["load.source_1h_count"] = _rarely(rng, rng.randrange(18, 23), 2, 0.1)
    facts["load.source_open_count"] = rng.randrange(0, 30)
    facts["load.tenant_1h_count"] = _rarely(rng, rng.randrange(198, 203), 5, 0.1)
    return facts


def _draw_transaction(rng: Random, amount_minor: int, currency: str, kind: ActionKind) -> dict[str, FactValue]:
    usual = "fee" if kind is ActionKind.FEE_REVERSAL else "card_payment"
    return {
        "transaction.kind": _rarely(
            rng, rng.choice(["fee", "payout", "transfer_out", "direct_debit", "card_payment"]), usual, 0.15
        ),
        "transaction.status": _rarely(rng, rng.choice(["pending", "declined", "reversed"]), "posted"),
        "transaction.currency": _rarely(rng, "EUR", currency),
        "transaction.amount_minor": abs(amount_minor) + rng.choice([0, 1, 1000]),
        "transaction.remaining_minor": _rarely(
            rng, rng.choice([0, -1, amount_minor - 1]), amount_minor + rng.choice([0, 0, 5]), 0.2
        ),
        "transaction.refund_count": _rarely(rng, 1, 0),
        "transaction.age_days": _rarely(rng, rng.randrange(119, 123), 12, 0.2),
        "transaction.is_duplicate": rng.random() < 0.8,
        "transaction.duplicate_gap_s": _rarely(rng, rng.randrange(598, 603), 30, 0.2),
        "transaction.owner_matches": _rarely(rng, False, True, 0.04),
        "transaction.is_disputed": _rarely(rng, True, False),
        "transaction.named_by_staff": rng.random() < 0.7,
    }


def _draw_account(rng: Random, _amount_minor: int, currency: str, _kind: ActionKind) -> dict[str, FactValue]:
    return {
        "account.status": _rarely(rng, rng.choice(["blocked", "closed"]), "active", 0.12),
        "account.currency": _rarely(rng, "EUR", currency),
        "account.ledger_version": rng.randrange(0, 90),
    }


def _draw_beneficiary(rng: Random, amount_minor: int, currency: str, _kind: ActionKind) -> dict[str, FactValue]:
    third = amount_minor // 3
    return {
        "beneficiary.owner_matches": _rarely(rng, False, True, 0.04),
        "beneficiary.currency": _rarely(rng, "EUR", currency),
        "beneficiary.screening_state": _rarely(rng, rng.choice(["unknown", "review", "hit", "stale"]), "clear", 0.2),
        "beneficiary.is_verified": rng.random() < 0.5,
        "beneficiary.age_hours": _rarely(rng, rng.randrange(70, 75), 5_000, 0.2),
        "beneficiary.changed_30d_count": _rarely(rng, 1, 0),
        "beneficiary.paid_count": _rarely(rng, 0, 4, 0.15),
        "beneficiary.max_paid_minor": _rarely(rng, max(0, third + rng.randrange(-1, 2)), amount_minor + 5, 0.4),
    }


def _draw_dispute(rng: Random, amount_minor: int, currency: str, kind: ActionKind) -> dict[str, FactValue]:
    near = amount_minor + rng.choice([-1, 0, 0, 1, 500])
    credited, final = (rng.choice([0, 0, 700]), 0)
    if kind is ActionKind.DISPUTE_WRITEOFF:
        final = rng.choice([0, 0, 700])
        credited = near + final
    return {
        "dispute.owner_matches": _rarely(rng, False, True, 0.04),
        "dispute.state": _rarely(
            rng, rng.choice(["won", "lost", "withdrawn"]), rng.choice(["open", "evidence", "submitted"]), 0.1
        ),
        "dispute.charge_minor": near + credited,
        "dispute.currency": _rarely(rng, "EUR", currency),
        "dispute.age_days": rng.randrange(0, 90),
        "dispute.age_business_days": rng.randrange(0, 60),
        "dispute.is_new_account": rng.random() < 0.2,
        "dispute.provisional_minor": credited,
        "dispute.writeoff_minor": final,
        "dispute.provisional_due": rng.random() < 0.8,
        "dispute.is_overdue": rng.random() < 0.1,
    }


def _draw_card(rng: Random, _amount_minor: int, _currency: str, _kind: ActionKind) -> dict[str, FactValue]:
    return {
        "card.owner_matches": _rarely(rng, False, True, 0.05),
        "card.status": rng.choice(["active", "active", "blocked", "expired"]),
    }


def _draw_hold(rng: Random, amount_minor: int, currency: str, _kind: ActionKind) -> dict[str, FactValue]:
    return {
        "hold.owner_matches": _rarely(rng, False, True, 0.05),
        "hold.state": _rarely(rng, rng.choice(["posted", "voided", "expired"]), "pending", 0.1),
        "hold.amount_minor": amount_minor,
        "hold.currency": currency,
    }


def _draw_case(rng: Random, _amount_minor: int, _currency: str, _kind: ActionKind) -> dict[str, FactValue]:
    return {"case.kind": "ledger_difference", "case.state": _rarely(rng, "closed", "open", 0.15)}


_DRAW = {
    "transaction": _draw_transaction, "account": _draw_account, "beneficiary": _draw_beneficiary,
    "dispute": _draw_dispute, "card": _draw_card, "hold": _draw_hold, "case": _draw_case,
}  # fmt: skip
