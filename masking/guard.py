"""The last step before a text leaves for a model, an index, a log or a webhook: does a value stand in it after all?"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from domain.errors import BrokenInvariant
from masking.classes import PiiClass
from masking.known_values import KnownValueFinder
from masking.patterns import CHECKED_SCORE, find_patterns
from masking.tokens import TOKEN_SHAPE
from masking.vault import KnownValues

# Classes whose shape alone leaves no doubt. Postcodes and public contacts stand in articles, so those are not here.
_CERTAIN = frozenset({PiiClass.CARD, PiiClass.IBAN, PiiClass.EMAIL, PiiClass.PHONE, PiiClass.NATIONAL_ID})


class LeakBlocked(BrokenInvariant):
    """Say that a text that should have been masked holds a value. It was not sent. Open an incident."""

    code = "leak_blocked"

    def __init__(self, message: str, *, classes: tuple[PiiClass, ...]) -> None:
        super().__init__(message)
        self.classes = classes


def check_outgoing(text: str, *, known_values: KnownValues | None = None, public: Collection[str] = ()) -> None:
    """Let a text pass, or raise. `public` are values that anyone may read, such as our own support address.

    Exact: whole known values in their written forms, and values with check digits. Raises: LeakBlocked, whose message
    names classes and places, never a value.
    """
    # A token's inside is no text: what is left is read with a blank of the same length in its place.
    bare = TOKEN_SHAPE.sub(lambda match: " " * len(match[0]), text)
    allowed = {value.casefold() for value in public}
    found: set[tuple[int, int, PiiClass]] = set()
    for hit in find_patterns(bare, classes=_CERTAIN):
        if hit.score >= CHECKED_SCORE and bare[hit.start : hit.end].casefold() not in allowed:
            found.add((hit.start, hit.end, hit.pii_class))
    if known_values is not None and known_values.values:
        for known in _finder(known_values).find(bare, with_parts=False):
            found.add((known.start, known.end, known.known.pii_class))
    if found:
        places = ", ".join(f"{pii_class.value} at {start}-{end}" for start, end, pii_class in sorted(found))
        raise LeakBlocked(
            f"a text that should be masked holds {places}: it was not sent", classes=tuple(sorted({hit[2] for hit in found}))
        )


@lru_cache(maxsize=64)
def _finder(known_values: KnownValues) -> KnownValueFinder:
    return KnownValueFinder(known_values)
