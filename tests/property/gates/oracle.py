"""An independent evaluator of the starter policy, in plain Python: no Cedar, no bundle, no code of the gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_TWO_DECIMALS = {"CHF", "EUR", "GBP", "USD"}
_LISTED = _TWO_DECIMALS | {"JPY", "KWD", "PLN", "SEK"}
_CAPS = {**dict.fromkeys(_TWO_DECIMALS, 500_000), "PLN": 2_500_000, "SEK": 2_500_000, "JPY": 750_000, "KWD": 1_500_000}
_FOUR_EYES = {**dict.fromkeys(_TWO_DECIMALS, 100_000), "PLN": 500_000, "SEK": 500_000, "JPY": 150_000, "KWD": 300_000}
_MONTHLY = {**dict.fromkeys(_TWO_DECIMALS, 150_000), "PLN": 750_000, "SEK": 750_000, "JPY": 225_000, "KWD": 450_000}
_RANK = {"deny": 0, "hold": 1, "review": 2, "allow": 3}
_HUGE = 10**18


@dataclass(frozen=True, slots=True)
class Act:
    """What is asked, with where it comes from and how it scored."""

    kind: str
    amount_minor: int
    currency: str
    reason_code: str
    amount_origin: str
    transaction_origin: str
    score: int


def judge(act: Act, facts: Mapping[str, object]) -> tuple[str, list[tuple[str, str]]]:
    """Return the outcome and every (outcome, code) in precedence, a code as often as rules give it."""
    denials = _deny(act, facts)
    waits = _wait(act, facts)
    reasons = [("deny", code) for code in denials] + waits
    if not denials:
        reasons.append(("allow", "within_policy") if _permitted(act, facts) else ("deny", "no_permit"))
    reasons.sort(key=lambda reason: (_RANK[reason[0]], reason[1]))
    return reasons[0][0], reasons


def _permitted(act: Act, facts: Mapping[str, object]) -> bool:
    return bool(
        act.kind == "refund"
        and "transaction.kind" in facts
        and "account.status" in facts
        and facts["grant.granted"]
        and facts["transaction.owner_matches"]
        and facts["operator.active"]
        and (facts["operator.is_support"] or facts["operator.is_investigator"])
    )


def _deny(act: Act, facts: Mapping[str, object]) -> list[str]:
    known = "transaction.kind" in facts
    remaining = facts.get("transaction.remaining_minor", 0)
    assert isinstance(remaining, int)
    found = {
        "kind_unlisted": act.kind != "refund",
        "currency_unlisted": act.currency not in _LISTED,
        "transaction_not_granted": not (facts["grant.granted"] and known),
        "transaction_of_other_customer": known and not facts["transaction.owner_matches"],
        "currency_mismatch": known and act.currency != facts["transaction.currency"],
        "transaction_not_refundable": known
        and (facts["transaction.status"] != "posted" or facts["transaction.kind"] not in ("card_payment", "direct_debit")),
        "already_refunded": known and remaining <= 0,
        "amount_above_remainder": known and 0 < remaining < act.amount_minor,
        "amount_not_positive": act.amount_minor < 1,
        "account_closed": facts.get("account.status") == "closed",
        "operator_inactive": not facts["operator.active"],
        "role_missing": not facts["operator.is_support"] and not facts["operator.is_investigator"],
        "turn_mismatch": not facts["conversation.message_matches"],
        "hard_cap": act.amount_minor > _CAPS.get(act.currency, _HUGE),
    }
    return [code for code, matched in found.items() if matched]


def _is_confirmed(act: Act, facts: Mapping[str, object]) -> bool:
    gap_s = facts["transaction.duplicate_gap_s"]
    assert isinstance(gap_s, int)
    return act.reason_code == "duplicate_charge" and facts["transaction.is_duplicate"] is True and gap_s < 601


def _wait(act: Act, facts: Mapping[str, object]) -> list[tuple[str, str]]:
    def number(name: str) -> int:
        value = facts.get(name, 0)
        assert isinstance(value, int)
        return value

    known = "transaction.kind" in facts
    approvals = number("approval.count")
    one_lifts = [
        ("above_operator_limit", act.amount_minor > number("operator.limit_minor")),
        ("amount_origin_untrusted", act.amount_origin in ("customer_text", "document", "knowledge_base", "model")),
        ("transaction_origin_untrusted", act.transaction_origin not in ("ledger", "staff")),
        ("score_high", act.score > 599),
        (
            "velocity",
            number("customer.refunds_1d_count") > 2
            or number("customer.refunds_30d_count") > 5
            or number("operator.refunds_1d_count") > 29,
        ),
        ("velocity", number("customer.refunds_30d_minor") > _MONTHLY.get(act.currency, _HUGE)),
        (
            "duplicate_not_confirmed",
            act.reason_code == "duplicate_charge" and known and not facts["transaction.is_duplicate"],
        ),
        (
            "duplicate_apart",
            act.reason_code == "duplicate_charge"
            and known
            and bool(facts["transaction.is_duplicate"])
            and number("transaction.duplicate_gap_s") > 10 * 60,
        ),
        ("claim_unconfirmed", known and not facts["transaction.named_by_staff"] and not _is_confirmed(act, facts)),
        ("stale_transaction", known and number("transaction.age_days") > 120),
        ("prior_refund_on_transaction", known and number("transaction.refund_count") > 0),
        ("disputed_transaction", known and bool(facts["transaction.is_disputed"])),
        ("account_currency_differs", "account.currency" in facts and facts["account.currency"] != act.currency),
        ("kyc_not_verified", facts["customer.kyc_status"] != "verified"),
        (
            "turn_not_current",
            not facts["conversation.message_is_last"] or number("conversation.message_age_s") > 900,
        ),
        ("repeated_proposal", number("conversation.earlier_proposals_count") > 0),
    ]
    waits = [("hold", "account_blocked")] if facts.get("account.status") == "blocked" else []
    waits += [("review", code) for code, matched in one_lifts if matched and approvals < 1]
    if act.amount_minor > _FOUR_EYES.get(act.currency, _HUGE) and approvals < 2:
        waits.append(("review", "four_eyes_needed"))
    return waits
