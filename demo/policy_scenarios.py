"""Named cases for the policy plane: whom one pays, what is disputed, and one of each planted story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from demo.people import Account, Beneficiary
from demo.planted import Incident
from demo.transactions import Transaction

Scenario = dict[str, Any]
_PATTERNS = ("card_testing", "account_takeover", "mule_fan_out", "friendly_fraud")


def make_policy_scenarios(
    accounts: Mapping[str, Account],
    beneficiaries: Sequence[Beneficiary],
    screening: Mapping[str, str],
    transactions: Sequence[Transaction],
    clocks: Sequence[Mapping[str, Any]],
    incidents: Sequence[Incident],
    as_of: datetime,
) -> dict[str, Scenario]:
    """Pick one case for each name. Raises: LookupError when the records hold no such case."""
    paid = Counter(item.beneficiary_id for item in transactions if item.beneficiary_id)
    usable = [payee for payee in beneficiaries if _account_of(payee, accounts) is not None]
    fresh = [payee for payee in usable if payee.added_at >= as_of - timedelta(hours=72)]
    known = [payee for payee in usable if screening.get(payee.beneficiary_id) == "clear" and payee.verified_at]
    scenarios = {
        "payee_known": _payee(max(known, key=lambda payee: (paid[payee.beneficiary_id], payee.beneficiary_id)), accounts),
        "payee_new": _payee(max(fresh, key=lambda payee: payee.added_at), accounts),
        "payee_in_review": _payee(_screened(usable, screening, "review"), accounts),
        "payee_on_list": _payee(_screened(usable, screening, "hit"), accounts),
    }
    by_id = {item.transaction_id: item for item in transactions}
    for row in clocks:
        item = by_id[row["transaction_id"]]
        days = -((row["opened_at"] - as_of) // timedelta(days=1))
        scenarios[f"dispute_{item.currency.lower()}_{days}_days"] = {
            "customer_id": accounts[item.account_id].customer_id,
            "account_id": item.account_id,
            "transaction_id": item.transaction_id,
            "dispute_id": row["dispute_id"],
            "amount_minor": item.amount_minor,
            "currency": item.currency,
        }
    for pattern in _PATTERNS:
        scenarios[f"fraud_{pattern}"] = _story(incidents, pattern)
    return scenarios


def _account_of(payee: Beneficiary, accounts: Mapping[str, Account]) -> Account | None:
    for account in accounts.values():
        is_usable = account.status == "active" and account.product != "savings" and account.currency == payee.currency
        if is_usable and account.customer_id == payee.customer_id:
            return account
    return None


def _screened(payees: Iterable[Beneficiary], screening: Mapping[str, str], state: str) -> Beneficiary:
    return next(payee for payee in payees if screening.get(payee.beneficiary_id) == state)


def _payee(payee: Beneficiary, accounts: Mapping[str, Account]) -> Scenario:
    account = _account_of(payee, accounts)
    assert account is not None
    return {
        "customer_id": payee.customer_id,
        "account_id": account.account_id,
        "beneficiary_id": payee.beneficiary_id,
        "currency": payee.currency,
    }


def _story(incidents: Iterable[Incident], pattern: str) -> Scenario:
    latest = max((item for item in incidents if item.pattern == pattern), key=lambda item: item.started_at)
    return {
        "incident_id": latest.incident_id,
        "customer_id": latest.customer_id,
        "merchant_id": latest.merchant_id,
        "transaction_ids": list(latest.transaction_ids),
        "beneficiary_ids": list(latest.beneficiary_ids),
        "dispute_ids": list(latest.dispute_ids),
    }
