"""The last step before a text leaves for a model, an index, a log, a webhook or an export: does a value stand in it after all?"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from domain.errors import BrokenInvariant
from masking.classes import PiiClass
from masking.known_values import KnownValueFinder
from masking.number_index import NumberIndex
from masking.number_prints import hash_form
from masking.patterns import CHECKED_SCORE, find_patterns
from masking.readings import read_clean
from masking.tokens import TOKEN_SHAPE
from masking.vault import KnownValues

# Classes whose shape alone leaves no doubt. Postcodes and public contacts stand in articles, so those are not here.
_CERTAIN = frozenset({PiiClass.CARD, PiiClass.IBAN, PiiClass.EMAIL, PiiClass.PHONE, PiiClass.NATIONAL_ID, PiiClass.WALLET})

# What a number is taken apart with, each replaced by one space so that places stay: marks that stand in no other number, and
# commas and line breaks between groups of four (elsewhere they part the columns of a table).
_JOINT = re.compile(r"(?<=[0-9])[_\u00ad\u200b-\u200f\u2060\ufeff](?=[0-9])")
_GROUPS = re.compile(r"(?<![0-9A-Za-z])[0-9A-Za-z]{4}(?:[,\n][0-9A-Za-z]{4}){3,7}(?:[,\n][0-9A-Za-z]{1,3})?(?![0-9A-Za-z])")
_APART = re.compile(r"[,\n]")


class Surface(StrEnum):
    """Name a way out of the masking plane."""

    MODEL = "model"
    EMBEDDING = "embedding"
    LOG = "log"
    TRACE = "trace"
    WEBHOOK = "webhook"
    EXPORT = "export"
    STORED = "stored"
    """What a model wrote, on its way into the database."""


@dataclass(frozen=True, slots=True)
class LeakHit:
    """Hold one place where a value stands that should not be there."""

    start: int
    end: int
    pii_class: PiiClass


class LeakBlocked(BrokenInvariant):
    """Say that a text that should have been masked holds a value. It was not sent. Open an incident.

    `place` names the text by a keyed hash: nothing here shows a value.
    """

    code = "leak_blocked"

    def __init__(self, message: str, *, classes: tuple[PiiClass, ...], surface: Surface, place: str) -> None:
        super().__init__(message)
        self.classes = classes
        self.surface = surface
        self.place = place


def find_leaks(
    text: str, *, index: NumberIndex | None = None, known_values: KnownValues | None = None, public: Collection[str] = ()
) -> tuple[LeakHit, ...]:
    """Return the values in a text that should have none, in order. `public` are values that anyone may read.

    Exact: values with check digits, numbers of the tenant's customers (`index`), whole known values in their written forms.
    """
    # A token's inside is no text: what is left is read with a blank of the same length in its place.
    bare = TOKEN_SHAPE.sub(lambda match: " " * len(match[0]), text)
    found = _find_numbers(bare, index)
    plain = read_clean(bare)
    if plain is not None:
        found |= {LeakHit(*plain.span(hit.start, hit.end), hit.pii_class) for hit in _find_numbers(plain.text, index)}
    if known_values is not None and known_values.values:
        hits = _finder(known_values).find(bare, with_parts=False)
        found |= {LeakHit(hit.start, hit.end, hit.known.pii_class) for hit in hits}
    if public:
        allowed = {value.casefold() for value in public}
        found = {hit for hit in found if bare[hit.start : hit.end].casefold() not in allowed}
    return tuple(sorted(found, key=lambda hit: (hit.start, hit.end, hit.pii_class)))


def _find_numbers(text: str, index: NumberIndex | None) -> set[LeakHit]:
    found = set(_find_checked(text))
    joined = _GROUPS.sub(lambda match: _APART.sub(" ", match[0]), _JOINT.sub(" ", text))
    if joined != text:
        found |= set(_find_checked(joined))
    if index is not None:
        found |= {LeakHit(hit.start, hit.end, hit.pii_class) for hit in index.find(text)}
    return found


def _find_checked(text: str) -> Iterator[LeakHit]:
    for hit in find_patterns(text, classes=_CERTAIN):
        if hit.score >= CHECKED_SCORE:
            yield LeakHit(hit.start, hit.end, hit.pii_class)


def check_outgoing(
    text: str,
    *,
    known_values: KnownValues | None = None,
    index: NumberIndex | None = None,
    public: Collection[str] = (),
    surface: Surface = Surface.MODEL,
) -> None:
    """Let a text pass, or raise. Raises: LeakBlocked, whose message names classes and places, never a value."""
    hits = find_leaks(text, index=index, known_values=known_values, public=public)
    if hits:
        places = ", ".join(f"{hit.pii_class.value} at {hit.start}-{hit.end}" for hit in hits[:10])
        raise LeakBlocked(
            f"a text that should be masked holds {places}: it was not sent",
            classes=tuple(sorted({hit.pii_class for hit in hits})),
            surface=surface,
            place=place_of(text, index),
        )


def place_of(text: str, index: NumberIndex | None) -> str:
    """Return how an incident names a text: by a keyed hash, or by chance where there is no key.

    A plain hash of a text that is a card number and little else would give the number away.
    """
    if index is None:
        return f"text {secrets.token_hex(6)}"
    return f"text {hash_form(index.key, text.encode(errors='replace').decode()):016x}"


def forget_known_values() -> None:
    """Drop the finders that are kept: a subject was erased."""
    _finder.cache_clear()


@lru_cache(maxsize=64)
def _finder(known_values: KnownValues) -> KnownValueFinder:
    return KnownValueFinder(known_values)
