"""What must survive because the facts of a case are made of it: amounts, dates, our own references, merchants."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from domain.money import EXPONENTS
from masking.word_lists import load_words

_CURRENCIES = "|".join(sorted(EXPONENTS))
_WORDS = r"euros?|dollars?|pounds?|cents?|pence|yen|rupees?|naira|reais|francs?|zloty|kronor|kroner|krona|quid|bucks"
_NUMBER = r"\d{1,3}(?:[,.' \u00a0]\d{3})*(?:[.,]\d{1,3})?|\d+(?:[.,]\d{1,3})?"
_OWN_PREFIXES = "acc|apr|art|ben|case|cnv|crd|cus|dec|dev|dsp|evt|ing|kba|kbc|lgn|mrc|msg|opr|pay|prp|rct|rev|ses|tfr|trn|txn"
_PROTECTED = re.compile(
    rf"""
    (?:[$€£¥₹₦₩₺]|\b(?:{_CURRENCIES})\b)\s?[-+]?(?:{_NUMBER})      # an amount after its currency
    | [-+]?(?<![\w.])(?:{_NUMBER})\s?(?:[$€£¥₹₦₩₺%]|\b(?:{_CURRENCIES}|{_WORDS}|percent)\b)
    | (?<![\w.,-])\d{{1,3}}(?:,\d{{3}})*\.\d{{2}}(?![\w.,]*\d)                # 1,234.56
    | \b(?:{_OWN_PREFIXES})_[0-9A-Za-z]{{4,64}}\b                      # our own references
    | \b[TACBXDHK]\d{{1,4}}\b                                             # handles
    | (?<![\w-])\d{{4}}-\d{{2}}-\d{{2}}(?:[T ]\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?(?:Z|[+-]\d{{2}}:?\d{{2}})?)?(?![\w-])
    | (?<![\w:])\d{{1,2}}:\d{{2}}(?::\d{{2}})?(?:\s?[ap]m)?(?![\w:])
    | \b(?:{_CURRENCIES})\b
    | (?:\b(?:order|ref|reference|invoice|inv|ticket|booking|tracking)\b\W{{0,3}}(?:(?:number|no|nr|id)\b\W{{0,3}})?|\#)
      (?=[A-Z0-9/-]*\d)[A-Z0-9][A-Z0-9/-]{{3,40}}                       # references of others
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NOT_NAMES = load_words("not_names")
_WORD = re.compile(r"[^\W\d_]+")


def find_protected(text: str, merchants: Collection[str] = ()) -> list[tuple[int, int]]:
    """Return the places that a guess must not touch. A value with its own check digits is no guess."""
    places = [match.span() for match in _PROTECTED.finditer(text)]
    pattern = _merchant_pattern(frozenset(merchants))
    return places + ([match.span() for match in pattern.finditer(text)] if pattern else [])


def is_no_name(text: str) -> bool:
    """Say whether a text taken for a name is made of everyday words of banking only."""
    words = [word.casefold() for word in _WORD.findall(text)]
    return not words or all(word in _NOT_NAMES for word in words)


@lru_cache(maxsize=256)
def _merchant_pattern(merchants: frozenset[str]) -> re.Pattern[str] | None:
    names = sorted((name for name in merchants if len(name) >= 3), key=len, reverse=True)
    if not names:
        return None
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, names))})(?:['’]s)?(?![^\W_])", re.IGNORECASE)
