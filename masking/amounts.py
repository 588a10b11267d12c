"""Is this piece of a text an amount, a share, a time or a count? Then no rule takes it for a number of somebody."""

from __future__ import annotations

import re
from functools import cache

from domain.money import EXPONENTS

_SYMBOLS = "$€£¥₹₦₩₺₽₴₫₱฿₪₵₸₡₲₭₮"
_CODE_BEFORE = re.compile(r"(?:(?<=[^\W\d_])\$|([A-Za-z]{2,4})\.?)[ \u00a0]?[-+]?$")
_LOCAL = frozenset({"RS", "RM", "RP", "KSH", "GHS", "KČ", "KR", "CFA", "BTC", "ETH", "USDT", "USDC"})
_MONEY_AFTER = re.compile(
    rf"[ \u00a0]?(?:[{_SYMBOLS}%‰]|(?:k|m|bn|mn|mio|million|billion|thousand|lakhs?|crores?|euros?|dollars?|pounds?|"
    rf"cents?|pence|yen|"
    r"rupees?|naira|reais|francs?|pesos?|zlotys?|złotych|zł|kč|kr|kronor|kroner|krona|quid|bucks|rand|shillings?|"
    r"cedis?|lira|dirhams?|"
    r"riyals?|shekels?|baht|rupiah|ringgit|percent|per\s?cent|bps|(?P<code>[A-Za-z]{3}))\b)",
    re.IGNORECASE,
)
_COUNT_AFTER = re.compile(
    r"[ \u00a0]?(?:ms|secs?|seconds?|min(?:ute)?s?|h|hrs|hours?|days?|weeks?|months?|years?|yrs|times|items?|units?|"
    r"points?|miles|km|kg|"
    r"mb|gb|kb|bytes|(?:business|working) days|transactions?|payments?|instal?lments?|tage|jahren?|monate|d[ií]as?|"
    r"jours|mois|ans|"
    r"a[nñ]os|meses|giorni|mesi|dagen|dni)\b",
    re.IGNORECASE,
)
# "to account 12345678 EUR 50": the currency is that of the number behind it.
_MIN_BARE_ACCOUNT = 7
_OWN_AMOUNT = re.compile(r"[ \u00a0]?\d")
_MAX_COUNT_DIGITS = 7
_MAX_WHOLE_DIGITS = 11
_WIDEST_UNIT = 24
_DECIMAL = re.compile(r"\d{1,9}\.\d{1,2}")
_HEAD_OF_THREE = re.compile(r"\d{3}(?!\d)")
_REST_OF_THOUSANDS = re.compile(r"[,'’]\d{3}(?!\d)|[,'’]\d{2}(?![^\W_])")
_REST_OF_DECIMALS = re.compile(r",\d{1,2}(?![\w/-])")
_REST_OF_TIME = re.compile(r":\d\d(?!\d)")
_PIECE_OF_THOUSANDS = 3
_PIECE_OF_TIME = 2


@cache
def _codes() -> frozenset[str]:
    return frozenset(EXPONENTS) | _LOCAL


def is_amount_beside(text: str, start: int, end: int) -> bool:
    """Say whether what stands before and after makes a quantity of this piece."""
    raw = text[start:end]
    if not (raw[0].isdigit() and raw[-1].isdigit()):
        return False
    if _DECIMAL.fullmatch(raw) or _is_after_money(text[max(0, start - 6) : start], raw) or _goes_on(text, end, len(raw)):
        return True
    after = _MONEY_AFTER.match(text, end, end + _WIDEST_UNIT)
    if after is not None and len(raw) >= _MIN_BARE_ACCOUNT and raw.isdigit() and _OWN_AMOUNT.match(text, after.end()):
        return False
    if after is not None and (after["code"] is None or after["code"].upper() in _codes()):
        return True
    return len(raw) <= _MAX_COUNT_DIGITS and _COUNT_AFTER.match(text, end, end + _WIDEST_UNIT) is not None


def _is_after_money(before: str, raw: str) -> bool:
    bare = before.rstrip(" \u00a0+-")
    if bare and bare[-1] in _SYMBOLS:
        return True
    code = _CODE_BEFORE.search(before)
    if code and code[1] and code[1].upper() in _codes() and (code.start() == 0 or not before[code.start() - 1].isalnum()):
        return True
    # The rest of "12,345": three digits after a comma that a digit stands before.
    return len(before) > 1 and before[-1] in ",'’" and before[-2].isdigit() and _HEAD_OF_THREE.match(raw) is not None


def _goes_on(text: str, end: int, length: int) -> bool:
    """Say whether it is the beginning of "12,345", of "1234,56" or of "14:32"."""
    if length <= _PIECE_OF_THOUSANDS and _REST_OF_THOUSANDS.match(text, end):
        return True
    if length <= _MAX_WHOLE_DIGITS and _REST_OF_DECIMALS.match(text, end):
        return True
    return length <= _PIECE_OF_TIME and _REST_OF_TIME.match(text, end) is not None
