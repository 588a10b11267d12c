"""Phone numbers: the library is asked about runs of digits only, never about a whole text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import phonenumbers

_RUN = re.compile(r"(?<![\w.,/-])(?P<v>(?:(?:\+|00)[ (]{0,2}|\()?\d(?:[ .\-/()\u00a0]{0,3}\d){6,16})(?![^\W_])(?![.,:]\d)")
_WORD_BEFORE = re.compile(
    r"(?:phone|tel(?:ephone|[eé]fono|\.)?|mobile?|cell|call|ring|whats\s?app|sms|text|fax|handy|number|reach)\W{0,3}(?:\w+\W+){0,3}$",
    re.IGNORECASE,
)
_DATE_LIKE = re.compile(r"\d{4}[-/. ]\d{1,2}[-/. ]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2,4}")
_DEFAULT_REGIONS = ("US", "GB")


def find_phones(text: str, *, regions: tuple[str, ...] = ()) -> Iterator[tuple[int, int, bool]]:
    """Yield start, end, and whether it is certain: a number with its country's prefix that exists in that country's plan."""
    for match in _RUN.finditer(text):
        run = match["v"]
        start, end = match.span("v")
        if run.startswith(("+", "00")) and _is_number(run.replace("00", "+", 1) if run.startswith("00") else run, None):
            yield start, end, True
        elif not _DATE_LIKE.fullmatch(run) and _is_plausible(run, text[max(0, start - 40) : start], regions):
            yield start, end, False


def _is_plausible(run: str, before: str, regions: tuple[str, ...]) -> bool:
    """Without a prefix a number needs a word before it, or its country's own way of writing: a trunk zero or brackets."""
    named = _WORD_BEFORE.search(before) is not None
    dressed = run.lstrip(" ").startswith(("0", "(")) or bool(re.fullmatch(r"\d{3}[-. ]\d{3}[-. ]\d{4}", run))
    if not named and not dressed:
        return False
    return any(_is_number(run, region) for region in dict.fromkeys((*regions, *_DEFAULT_REGIONS))) or (
        named and run.startswith("+")
    )


@lru_cache(maxsize=4096)
def _is_number(run: str, region: str | None) -> bool:
    try:
        number = phonenumbers.parse(run, region)
    except phonenumbers.NumberParseException:
        return False
    # Invented and newly opened ranges are not in the plans: the right length is enough where the country is written.
    return phonenumbers.is_possible_number(number) if region is None else phonenumbers.is_valid_number(number)
