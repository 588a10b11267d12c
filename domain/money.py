"""Money: integer minor units and an ISO 4217 code with its own exponent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import InvalidInput

# Source: ISO 4217 table, minor unit column. Not every currency has two decimals.
EXPONENTS: dict[str, int] = {
    "AED": 2, "AUD": 2, "BHD": 3, "BRL": 2, "CAD": 2, "CHF": 2, "CLP": 0, "CZK": 2, "DKK": 2, "EUR": 2,
    "GBP": 2, "HKD": 2, "HUF": 2, "INR": 2, "ISK": 0, "JOD": 3, "JPY": 0, "KES": 2, "KRW": 0, "KWD": 3,
    "MXN": 2, "NGN": 2, "NOK": 2, "NZD": 2, "OMR": 3, "PLN": 2, "SEK": 2, "SGD": 2, "TND": 3, "TRY": 2,
    "UGX": 0, "USD": 2, "VND": 0, "ZAR": 2,
}  # fmt: skip
MAX_AMOUNT_MINOR = 2**63 - 1


class InvalidMoney(InvalidInput):
    """Say that an amount or a currency is not one we can hold."""

    code = "invalid_money"


class CurrencyMismatch(InvalidInput):
    """Say that two currencies met in one operation."""

    code = "currency_mismatch"


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """Hold an amount in the minor unit of its currency.

    Raises: InvalidMoney for an unlisted currency, a non-integer, or an amount outside 64 bits.
    """

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int:
            raise InvalidMoney(f"amount_minor must be an integer, got {type(self.amount_minor).__name__}")
        if not -MAX_AMOUNT_MINOR <= self.amount_minor <= MAX_AMOUNT_MINOR:
            raise InvalidMoney("amount_minor does not fit 64 bits")
        if self.currency not in EXPONENTS:
            raise InvalidMoney(f"currency {self.currency!r} is not listed")

    def __add__(self, other: Money) -> Money:
        self._require_same_currency(other)
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._require_same_currency(other)
        return Money(self.amount_minor - other.amount_minor, self.currency)

    def _require_same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} met {other.currency}")


def allocate(total: Money, weights: Sequence[int]) -> tuple[Money, ...]:
    """Split `total` by integer weights; the parts sum to it exactly.

    Largest remainder first, ties to the earlier part. Raises: InvalidMoney for no or negative weights.
    """
    weight_sum = sum(weights)
    if weight_sum <= 0 or any(weight < 0 for weight in weights):
        raise InvalidMoney("weights must be non-negative and not all zero")
    sign = -1 if total.amount_minor < 0 else 1
    magnitude = abs(total.amount_minor)
    shares = [magnitude * weight // weight_sum for weight in weights]
    remainders = [magnitude * weight % weight_sum for weight in weights]
    left = magnitude - sum(shares)
    by_remainder = sorted(range(len(weights)), key=lambda index: (-remainders[index], index))
    for index in by_remainder[:left]:
        shares[index] += 1
    return tuple(Money(sign * share, total.currency) for share in shares)


def render_money(money: Money) -> str:
    """Write an amount for people: `EUR 12.90`, `JPY 1290`, `KWD 1.290`."""
    exponent = EXPONENTS[money.currency]
    digits = str(abs(money.amount_minor)).rjust(exponent + 1, "0")
    whole, fraction = (digits[:-exponent], digits[-exponent:]) if exponent else (digits, "")
    sign = "-" if money.amount_minor < 0 else ""
    return f"{money.currency} {sign}{whole}{'.' + fraction if fraction else ''}"


def parse_decimal(text: str, currency: str) -> Money:
    """Read `12.90` as minor units of `currency`, exactly.

    Raises: InvalidMoney for signs, exponents, too many decimals, or anything but ASCII digits and one point.
    """
    exponent = EXPONENTS.get(currency)
    if exponent is None:
        raise InvalidMoney(f"currency {currency!r} is not listed")
    whole, _, fraction = text.partition(".")
    if not (whole.isascii() and whole.isdigit()) or ("." in text and not (fraction.isascii() and fraction.isdigit())):
        raise InvalidMoney("amount must be digits with at most one decimal point")
    if len(fraction) > exponent:
        raise InvalidMoney(f"{currency} has {exponent} decimals, got {len(fraction)}")
    return Money(int(whole + fraction.ljust(exponent, "0")), currency)
