"""The demo bank's fee schedule. The article `fee-schedule` in demo/knowledge says the same figures in words."""

from __future__ import annotations

from types import MappingProxyType

FX_FEE_BASIS_POINTS = 175
"""Of the billed amount, for a card payment to a merchant outside the account's currency area."""
FREE_WITHDRAWALS_PER_MONTH = 3

# Minor units of each currency: EUR 2.00 is 200, JPY 320 is 320, KWD 0.650 is 650.
WITHDRAWAL_FEE_MINOR = MappingProxyType({"EUR": 200, "GBP": 175, "USD": 225, "JPY": 320, "KWD": 650})
PLUS_PLAN_FEE_MINOR = MappingProxyType({"EUR": 490, "GBP": 420, "USD": 540, "JPY": 790, "KWD": 1_600})
BUSINESS_PLAN_FEE_MINOR = MappingProxyType({"EUR": 900, "GBP": 780, "USD": 990, "JPY": 1_450, "KWD": 2_950})
RETURNED_DEBIT_FEE_MINOR = MappingProxyType({"EUR": 300, "GBP": 260, "USD": 330, "JPY": 480, "KWD": 980})
CARD_REPLACEMENT_FEE_MINOR = MappingProxyType({"EUR": 800, "GBP": 690, "USD": 880, "JPY": 1_290, "KWD": 2_600})

_FROM_EURO_CENTS = MappingProxyType({"EUR": (1, 1), "GBP": (86, 100), "USD": (109, 100), "JPY": (161, 100), "KWD": (334, 100)})


def fx_fee_minor(amount_minor: int) -> int:
    """Return the foreign-payment fee, rounded half up to the minor unit."""
    return (amount_minor * FX_FEE_BASIS_POINTS + 5_000) // 10_000


def price_minor(euro_cents: int, currency: str) -> int:
    """Return about the same price in another currency's minor units; prices in yen end in a zero."""
    numerator, denominator = _FROM_EURO_CENTS[currency]
    amount = max(1, euro_cents * numerator // denominator)
    return max(10, amount // 10 * 10) if currency == "JPY" else amount
