"""Declined card payments, each with the ordered steps that the authorisation went through up to the one that failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from types import MappingProxyType

from demo.fees import price_minor
from demo.merchants import Merchant
from demo.people import Account, Card, record_id
from demo.transactions import TraceStep, Transaction

# Source: ISO 8583:1987 data element 39.
RESPONSE_CODES = MappingProxyType(
    {
        "card_blocked": "62",
        "card_expired": "54",
        "merchant_category_blocked": "57",
        "limit_exceeded": "61",
        "too_many_attempts": "65",
        "insufficient_funds": "51",
        "incorrect_pin": "55",
        "three_ds_failed": "1A",
        "suspected_fraud": "59",
        "issuer_unavailable": "91",
    }
)
# In the order in which the bank checks; a code fails at its step, the steps before it passed.
STEP_OF_CODE = MappingProxyType(
    {
        "card_blocked": "card_status",
        "card_expired": "card_expiry",
        "merchant_category_blocked": "merchant_category",
        "limit_exceeded": "limit_check",
        "too_many_attempts": "velocity_check",
        "insufficient_funds": "balance_check",
        "incorrect_pin": "pin_check",
        "three_ds_failed": "three_ds",
        "suspected_fraud": "fraud_rules",
        "issuer_unavailable": "issuer_response",
    }
)
DAILY_CARD_LIMIT_CENTS = 150_000
"""What a card may spend in a day, in euro cents; other currencies by `price_minor`. The article `card-limits` says it too."""
_EVERYDAY_CODES = ("insufficient_funds", "limit_exceeded", "incorrect_pin", "three_ds_failed", "suspected_fraud",
                   "too_many_attempts", "issuer_unavailable")  # fmt: skip
_EVERYDAY_WEIGHTS = (40, 14, 12, 14, 9, 5, 6)
_FRAUD_RULES = ("FR-104", "FR-117", "FR-131", "FR-142")


@dataclass(frozen=True, slots=True)
class Attempt:
    """Hold what was tried: the payment that did not happen."""

    account: Account
    card: Card
    merchant: Merchant
    amount_minor: int
    occurred_at: datetime


def pick_decline_code(random: Random) -> str:
    """Draw why an everyday payment fails."""
    return random.choices(_EVERYDAY_CODES, _EVERYDAY_WEIGHTS)[0]


def make_decline(random: Random, attempt: Attempt, code: str) -> Transaction:
    """Make the declined transaction with its trace."""
    return Transaction(
        transaction_id=record_id(random, "txn"),
        account_id=attempt.account.account_id,
        kind="card_payment",
        status="declined",
        amount_minor=attempt.amount_minor,
        currency=attempt.account.currency,
        descriptor=attempt.merchant.descriptor,
        occurred_at=attempt.occurred_at,
        card_id=attempt.card.card_id,
        merchant_id=attempt.merchant.merchant_id,
        decline_code=code,
        decline_trace=_make_trace(random, attempt, code),
    )


def _make_trace(random: Random, attempt: Attempt, code: str) -> tuple[TraceStep, ...]:
    steps: list[TraceStep] = []
    for step in STEP_OF_CODE.values():
        if step == STEP_OF_CODE[code]:
            steps.append({"step": step, "result": "fail", "detail": _FAILURES[code](random, attempt)})
            break
        steps.append({"step": step, "result": "pass"})
    if steps[-1]["step"] != "issuer_response":
        steps.append({"step": "issuer_response", "result": "fail", "detail": {"response_code": RESPONSE_CODES[code]}})
    return tuple(steps)


def _insufficient(random: Random, attempt: Attempt) -> dict[str, int | str]:
    return {"available_minor": random.randrange(0, attempt.amount_minor), "needed_minor": attempt.amount_minor}


def _limit(random: Random, attempt: Attempt) -> dict[str, int | str]:
    limit_minor = price_minor(DAILY_CARD_LIMIT_CENTS, attempt.account.currency)
    used_minor = max(0, limit_minor - random.randrange(0, attempt.amount_minor))
    return {"limit": "daily_card", "limit_minor": limit_minor, "used_minor": used_minor, "needed_minor": attempt.amount_minor}


_FAILURES: MappingProxyType[str, Callable[[Random, Attempt], dict[str, int | str]]] = MappingProxyType(
    {
        "card_blocked": lambda _, __: {"card_status": "blocked"},
        "card_expired": lambda _, attempt: {"expired_on": attempt.card.expires_on.isoformat()},
        "merchant_category_blocked": lambda _, attempt: {"category_code": attempt.merchant.category.code, "block": "gambling"},
        "limit_exceeded": _limit,
        "too_many_attempts": lambda random, _: {"attempts": random.randrange(4, 9), "window_minutes": 10, "allowed": 3},
        "insufficient_funds": _insufficient,
        "incorrect_pin": lambda random, _: {"tries_left": random.randrange(0, 3)},
        "three_ds_failed": lambda random, _: {"outcome": random.choice(("timed_out", "rejected_in_app", "wrong_code"))},
        "suspected_fraud": lambda random, _: {"rule_id": random.choice(_FRAUD_RULES)},
        "issuer_unavailable": lambda _, __: {"response_code": RESPONSE_CODES["issuer_unavailable"], "cause": "timeout"},
    }
)
