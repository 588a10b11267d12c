"""Phone numbers: the library is asked about runs of digits only, never about a whole text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import phonenumbers

from masking.amounts import is_amount_beside
from masking.labels import KEPT, Label, label_before

DEFAULT_REGIONS = (
    "US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "SE", "BR", "MX", "CO", "AR", "IN", "SG", "VN", "PH", "ID", "JP", "NG",
    "KE", "ZA",
    "GH", "TR", "AE", "SA", "EG", "IL", "IE", "AU", "NZ", "CA", "PT", "BE", "CH", "AT", "DK", "NO", "FI", "CZ", "RO", "HU",
    "GR", "UA",
    "MY", "TH", "KR", "CN", "HK", "PK", "BD", "LK", "CL", "PE", "MA", "TZ", "UG", "ET",
)  # fmt: skip
"""Where a number without its country's prefix may be from."""

_GAP = r"[ .\-/()\u00a0\u2009\u202f\u2010\u2011–]{0,3}"
_WITH_PREFIX = re.compile(
    rf"(?<![0-9A-Za-zÀ-ɏ_+])(?P<v>(?:\+|00(?=[1-9][\d (.-]{{8}})|\(\+)[ (]{{0,2}}\d(?:{_GAP}\d){{6,16}})(?![0-9A-Za-zÀ-ɏ])"
)
_NATIONAL = re.compile(rf"(?<![0-9A-Za-zÀ-ɏ_./+-])(?<!\d,)(?P<v>\(?\d(?:{_GAP}\d){{6,13}})(?![0-9A-Za-zÀ-ɏ])(?![.,:/-]\d)")
_EXTENSION = re.compile(r"[ ,;]{0,2}(?:ext|extn|extension|x|poste|durchwahl|ramal|int)\.?[ :]?\d{1,5}(?![^\W_])", re.IGNORECASE)
_DATE_LIKE = re.compile(r"\d{4}[-/. ]\d{1,2}[-/. ]\d{1,2}(?:[ T]\d{1,2})?|\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2,4}(?:[ T]\d{1,2})?")
_NOT_DIGIT = re.compile(r"\D+")
_MAX_KEPT_GAP = 28
# Ways to group that are some country's own, where a number is written without a trunk zero.
_GROUPINGS: Mapping[tuple[int, ...], tuple[str, ...]] = {
    (3, 3, 4): ("US", "CA", "IT", "CO", "TR", "MX", "NG", "PK", "PH", "EG"), (1, 3, 3, 4): ("US", "CA"), (3, 3, 3): ("ES",
    "PL", "PT", "CZ", "GR"),
    (3, 2, 2, 2): ("ES", "PL", "RU", "NO"), (5, 5): ("IN",), (3, 4, 4): ("CN", "BR"), (2, 4, 4): ("MX", "BR", "AR"), (2, 5,
    4): ("BR",), (3, 7): ("US", "CO"),
    (2, 3, 2, 2): ("UA", "CH", "PL"), (3, 3, 2, 2): ("TR", "UA", "RU"), (3, 4, 3): ("IN", "EG"), (4, 3, 3): ("IN",), (2, 2, 2,
    2): ("DK", "NO"),
}  # fmt: skip
_LONGEST_NATIONAL = 12
_SHORTEST_WITH_TRUNK = 8


def find_phones(
    text: str, *, regions: tuple[str, ...] = DEFAULT_REGIONS, labels: Sequence[Label] = ()
) -> Iterator[tuple[int, int, bool]]:
    """Yield start, end, and whether it is certain: a number with its country's prefix that can exist in that country's plan.

    Without a prefix it needs the country's way of writing. Numbers beside a word for a phone are found by that word.
    """
    for match in _WITH_PREFIX.finditer(text):
        start, end = match.span("v")
        if _has_prefix(match["v"]):
            yield start, _with_extension(text, end), True
    for match in _NATIONAL.finditer(text):
        start, end = match.span("v")
        run = match["v"]
        if not _DATE_LIKE.match(run) and _is_national(run, regions) and not _is_kept(text, start, end, labels):
            yield start, _with_extension(text, end), False


def _has_prefix(run: str) -> bool:
    digits = _NOT_DIGIT.sub("", run)
    bare = digits.removeprefix("00") if not run.lstrip("(").startswith("+") else digits
    return _is_possible(f"+{bare}") or (
        "(0)" in run and _is_possible("+" + _NOT_DIGIT.sub("", run.replace("(0)", "")).removeprefix("00"))
    )


def _is_national(run: str, regions: tuple[str, ...]) -> bool:
    groups = tuple(len(group) for group in _NOT_DIGIT.split(run) if group)
    digits = _NOT_DIGIT.sub("", run)
    if len(digits) > _LONGEST_NATIONAL:
        return False
    if digits[0] == "0" and digits[1] != "0":
        return len(digits) >= _SHORTEST_WITH_TRUNK and any(_is_valid(digits, region) for region in regions)
    if run.startswith("(") and len(groups) > 1:
        return any(_is_valid(digits, region) for region in regions)
    return any(_is_valid(digits, region) for region in _GROUPINGS.get(groups, ()))


def _is_kept(text: str, start: int, end: int, labels: Sequence[Label]) -> bool:
    label = label_before(labels, start)
    if (
        label is not None
        and label.kind == KEPT
        and start - label.end <= _MAX_KEPT_GAP
        and not any(map(str.isdigit, text[label.end : start]))
    ):
        return True
    return is_amount_beside(text, start + (text[start] == "("), end)


def _with_extension(text: str, end: int) -> int:
    extension = _EXTENSION.match(text, end)
    return extension.end() if extension else end


def forget_numbers() -> None:
    """Drop the numbers that are kept with their answers: a subject was erased."""
    _is_possible.cache_clear()
    _is_valid.cache_clear()


@lru_cache(maxsize=8192)
def _is_possible(number: str) -> bool:
    """Invented and newly opened ranges are in no plan: the right length is enough where the country is written."""
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return False


@lru_cache(maxsize=32768)
def _is_valid(digits: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(digits, region))
    except phonenumbers.NumberParseException:
        return False
