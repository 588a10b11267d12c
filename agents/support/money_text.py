"""Find amounts in what people or models wrote, as minor units. Exact, no floats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from domain.money import EXPONENTS, InvalidMoney, parse_decimal

_SYMBOLS = {"€": "EUR", "£": "GBP", "¥": "JPY", "₩": "KRW", "₹": "INR", "zł": "PLN", "$": None}
_WORDS = {"euro": "EUR", "euros": "EUR", "pound": "GBP", "pounds": "GBP", "yen": "JPY", "dollar": None, "dollars": None}
_CODE = "|".join(EXPONENTS)
_UNIT = rf"{_CODE}|{'|'.join(map(re.escape, _SYMBOLS))}|{'|'.join(sorted(_WORDS, key=len, reverse=True))}"
_NUMBER = r"\d{1,3}(?:[ ,.']\d{3})+(?:[.,]\d{1,3})?|\d+(?:[.,]\d{1,3})?"
_AMOUNT = re.compile(
    rf"(?<![\w.,])(?:(?P<before>{_UNIT})\s?(?P<number1>{_NUMBER})|(?P<number2>{_NUMBER})\s?(?P<after>{_UNIT})|(?P<bare>\d+[.,]\d{{2,3}}))(?![\w%])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class WrittenAmount:
    """Hold one amount as written. `currency` is None where the text does not say which (bare, or a dollar of some kind)."""

    digits: str
    currency: str | None
    start: int
    end: int

    def minor_in(self, currency: str) -> int | None:
        """Return the amount in the minor unit of `currency`; None when the text says another currency or it does not fit."""
        if self.currency not in (None, currency) or currency not in EXPONENTS:
            return None
        try:
            return parse_decimal(_to_decimal(self.digits, EXPONENTS[currency]), currency).amount_minor
        except InvalidMoney:
            return None


def find_amounts(text: str) -> Iterator[WrittenAmount]:
    """Yield the amounts in a text, in order. A bare whole number is no amount: it may be a count."""
    for match in _AMOUNT.finditer(text):
        unit = match["before"] or match["after"]
        digits = match["number1"] or match["number2"] or match["bare"]
        yield WrittenAmount(digits=digits, currency=_currency_of(unit), start=match.start(), end=match.end())


def _currency_of(unit: str | None) -> str | None:
    if unit is None:
        return None
    if unit.upper() in EXPONENTS:
        return unit.upper()
    return _SYMBOLS.get(unit.casefold(), _WORDS.get(unit.casefold()))


def _to_decimal(written: str, exponent: int) -> str:
    """Read `1.234,50`, `1,234.50`, `12,90`, `1 000`. The last separator is decimal unless exactly three digits group it."""
    compact = written.replace(" ", "").replace("'", "")
    last = max(compact.rfind("."), compact.rfind(","))
    if last < 0:
        return compact
    whole, fraction = compact[:last], compact[last + 1 :]
    kinds = {character for character in compact if character in ".,"}
    is_grouping = len(fraction) == 3 and exponent != 3 and len(kinds) == 1
    head = whole.replace(".", "").replace(",", "")
    return head + fraction if is_grouping else f"{head}.{fraction}"
