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
_EDGES = (100_000, 150_000, 225_000, 300_000, 450_000, 500_000, 750_000, 1_500_000, 2_500_000)


def make_facts(rng: Random, *, amount_minor: int, currency: str) -> dict[str, FactValue]:
    """Draw facts. Most are harmless, so that single rules are seen alone."""

    def rarely(odd: Any, usual: Any, share: float = 0.08) -> Any:
        return odd if rng.random() < share else usual

    facts: dict[str, FactValue] = {
        "grant.granted": rarely(False, True),
        "customer.kyc_status": rarely(rng.choice(["pending", "review", "rejected"]), "verified"),
        "customer.age_days": rng.randrange(0, 4000),
        "customer.refunds_1d_count": rarely(rng.randrange(1, 5), 0, 0.2),
        "customer.refunds_30d_count": rarely(rng.randrange(4, 8), 0, 0.2),
        "customer.refunds_30d_minor": rarely(rng.choice(_EDGES) + rng.randrange(-1, 2), 0, 0.2),
        "customer.refunds_total_count": rng.randrange(0, 14),
        "customer.failed_logins_7d_count": rng.randrange(0, 7),
        "operator.active": rarely(False, True),
        "operator.is_support": rarely(False, True, 0.15),
        **{f"operator.is_{role}": rng.random() < 0.3 for role in ("investigator", "onboarding", "approver", "auditor", "admin")},
        "operator.limit_minor": max(0, amount_minor + rng.choice([-1, 0, 1, 10_000, 10**7, 10**9])),
        "operator.refunds_1d_count": rarely(rng.randrange(28, 32), 0, 0.2),
        "conversation.message_matches": rarely(False, True, 0.04),
        "conversation.message_is_last": rarely(False, True),
        "conversation.message_age_s": rarely(rng.randrange(898, 903), 5, 0.2),
        "conversation.last_message_id": "msg_" + "0" * 32,
        "conversation.earlier_proposals_count": rarely(1, 0),
        "approval.count": rng.choice([0, 0, 0, 1, 2]),
    }
    if rng.random() < 0.92:
        facts |= {
            "transaction.kind": rarely(rng.choice(["fee", "payout", "transfer_out", "direct_debit"]), "card_payment", 0.15),
            "transaction.status": rarely(rng.choice(["pending", "declined", "reversed"]), "posted"),
            "transaction.currency": rarely("EUR", currency),
            "transaction.amount_minor": abs(amount_minor) + rng.choice([0, 1, 1000]),
            "transaction.remaining_minor": rarely(
                rng.choice([0, -1, amount_minor - 1]), amount_minor + rng.choice([0, 0, 5]), 0.2
            ),
            "transaction.refund_count": rarely(1, 0),
            "transaction.age_days": rarely(rng.randrange(119, 123), 12, 0.2),
            "transaction.is_duplicate": rng.random() < 0.8,
            "transaction.duplicate_gap_s": rarely(rng.randrange(598, 603), 30, 0.2),
            "transaction.owner_matches": rarely(False, True, 0.04),
            "transaction.is_disputed": rarely(True, False),
            "transaction.named_by_staff": rng.random() < 0.7,
            "account.status": rarely(rng.choice(["blocked", "closed"]), "active", 0.12),
            "account.currency": rarely("EUR", currency),
        }
    return facts


def make_sample(rng: Random) -> tuple[DecisionInput, Act]:
    """Draw one act for the gate, and the same act for the oracle."""
    currency = rng.choice(_CURRENCIES) if rng.random() < 0.5 else "EUR"
    amount = rng.choice([rng.randrange(1, 30_000), rng.randrange(1, 30_000), rng.choice(_EDGES) + rng.randrange(-1, 2), 0])
    kind = ActionKind.REFUND if rng.random() < 0.94 else rng.choice(list(ActionKind))
    amount_origin = rng.choice(list(Origin)) if rng.random() < 0.3 else Origin.LEDGER
    transaction_origin = rng.choice(list(Origin)) if rng.random() < 0.1 else Origin.LEDGER
    reason_code = rng.choice(["duplicate_charge", "other", "goods_not_received"])
    score = rng.choice([0, 40, 300, 599, 600, 601, 1000])
    act = Act(
        kind=kind.value, amount_minor=amount, currency=currency, reason_code=reason_code,
        amount_origin=amount_origin.value, transaction_origin=transaction_origin.value, score=score,
    )  # fmt: skip
    request = DecisionInput(
        decision_id="dec_" + f"{rng.getrandbits(128):032x}",
        action=Action(
            tenant_id="demo", proposal_id="prp_" + "0" * 32, kind=kind, transaction_id="txn_1", customer_id="cus_1",
            account_id="acc_1", amount_minor=amount, currency=currency, reason_code=reason_code,
        ),
        operator_id="opr_ada",
        origins=(
            ArgumentOrigin(argument="transaction", origin=transaction_origin),
            ArgumentOrigin(argument="amount_minor", origin=amount_origin),
        ),
        facts=make_facts(rng, amount_minor=amount, currency=currency),
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
        "account.status": "active", "account.currency": "EUR",
        "customer.kyc_status": "verified", "customer.age_days": 900, "customer.refunds_1d_count": 0,
        "customer.refunds_30d_count": 0, "customer.refunds_30d_minor": 0, "customer.refunds_total_count": 0,
        "customer.failed_logins_7d_count": 0,
        "operator.active": True, "operator.is_support": True, "operator.is_investigator": False,
        "operator.is_onboarding": False, "operator.is_approver": False, "operator.is_auditor": False,
        "operator.is_admin": False, "operator.limit_minor": 20_000, "operator.refunds_1d_count": 0,
        "conversation.message_matches": True, "conversation.message_is_last": True, "conversation.message_age_s": 4,
        "conversation.last_message_id": "msg_" + "0" * 32, "conversation.earlier_proposals_count": 0,
        "approval.count": 0,
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
