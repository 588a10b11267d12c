"""Which amounts, handles and tokens does a text hold, and whose words are they? Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from domain.money import EXPONENTS, InvalidMoney, parse_decimal, render_money
from domain.origin import Origin

MAX_MENTIONS = 200
MentionKind = Literal["amount", "handle", "token"]
_SYMBOLS = {"€": "EUR", "£": "GBP", "$": "USD", "¥": "JPY", "₹": "INR", "₦": "NGN", "₩": "KRW", "₺": "TRY", "₫": "VND"}
_NUMBER = r"[0-9]{1,3}(?:[ ,.'’][0-9]{3})+(?:[.,][0-9]{1,3})?|[0-9]{1,15}(?:[.,][0-9]{1,3})?"
_CODE = "|".join(sorted(EXPONENTS))
_SYMBOL = "[" + "".join(_SYMBOLS) + "]"
_AMOUNT = re.compile(
    rf"(?<![\w.,])(?:(?P<before>{_CODE}|{_SYMBOL})\s?)?(?P<number>{_NUMBER})(?:\s?(?P<after>{_CODE}|{_SYMBOL}))?(?![\w])(?![.,][0-9])",
    re.IGNORECASE,
)
_HANDLE = re.compile(r"(?<![A-Za-z0-9_])(?:[TACBXDHK][0-9]{1,4})(?![A-Za-z0-9_])")
_CUSTOMER_SAYS = re.compile(r"\bcustomer\s+(?:says|said|writes|wrote|asks|asked|claims|claimed)\b[^\n]*", re.IGNORECASE)
_QUOTED_LINE = re.compile(r"^[ \t]*>[^\n]*", re.MULTILINE)
_QUOTATION = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|„[^“”\n]*[“”]|«[^»\n]*»")


@dataclass(frozen=True, slots=True)
class Mention:
    """Hold one value found in a text. An amount is `EUR 12.90`, or `12.90` where no currency stands beside it."""

    kind: MentionKind
    value: str
    origin: Origin


def find_mentions(masked_text: str, tokens: Iterable[str], *, words_of: Origin = Origin.STAFF) -> tuple[Mention, ...]:
    """Find what a later proposal may be traced to, once each, at most MAX_MENTIONS.

    What an operator quotes is the customer's; a value that stands in both their words counts as the operator's. A text of anyone
    else is his in whole.
    """
    quoted = tuple(customer_spans(masked_text)) if words_of is Origin.STAFF else ()
    best: dict[tuple[MentionKind, str], Origin] = {}
    for kind, value, start in _candidates(masked_text, tokens):
        origin = Origin.CUSTOMER_TEXT if any(low <= start < high for low, high in quoted) else words_of
        if best.get((kind, value)) is not Origin.STAFF:
            best[kind, value] = origin
    return tuple(Mention(kind, value, origin) for (kind, value), origin in list(best.items())[:MAX_MENTIONS])


def _candidates(text: str, tokens: Iterable[str]) -> Iterator[tuple[MentionKind, str, int]]:
    for match in _HANDLE.finditer(text):
        yield "handle", match.group(0), match.start()
    for match in _AMOUNT.finditer(text):
        written = match.group("before") or match.group("after")
        readings = read_decimals(match.group("number"))
        values = readings if written is None else render_readings(readings, _currency_of(written))
        for value in values:
            yield "amount", value, match.start()
    for token in tokens:
        for match in re.finditer(re.escape(token), text):
            yield "token", token, match.start()


def read_decimals(number: str) -> tuple[str, ...]:
    """Read `1,299.50`, `1.299,50` or `49,90` as plain decimals. `1.290` can be read in two ways and gives both."""
    digits = re.sub(r"[ '’]", "", number)
    points = [mark for mark in digits if mark in ".,"]
    if not points:
        return (digits,)
    last = max(digits.rfind("."), digits.rfind(","))
    whole, fraction = re.sub(r"[.,]", "", digits[:last]), digits[last + 1 :]
    if len(fraction) != 3 or len(set(points)) > 1:
        return (f"{whole}.{fraction}",)
    grouped = (whole + fraction,)
    return grouped if len(points) > 1 else (*grouped, f"{whole}.{fraction}")


def render_readings(readings: Iterable[str], currency: str) -> tuple[str, ...]:
    """Write each reading that is an amount of the currency as `domain.money.render_money` does.

    Where a currency has three decimals, `1.290` is read as decimals alone: a thousandfold amount must not get a human
    origin by accident.
    """
    rendered: list[str] = []
    choices = tuple(readings)
    for reading in choices[-1:] if EXPONENTS.get(currency) == 3 else choices:
        try:
            rendered.append(render_money(parse_decimal(reading, currency)))
        except InvalidMoney:
            continue
    return tuple(rendered)


def _currency_of(written: str) -> str:
    return _SYMBOLS.get(written, written.upper())


def customer_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where a message repeats the customer's words: `>` lines, quotation marks, `customer says …`."""
    for pattern in (_QUOTED_LINE, _QUOTATION, _CUSTOMER_SAYS):
        for match in pattern.finditer(text):
            yield match.span()
