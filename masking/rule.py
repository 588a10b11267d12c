"""What a rule is, and how sure each way of finding is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from masking.classes import PiiClass
from masking.validators import Validator

CHECKED_SCORE = 0.95
"""Own check digits or an unmistakable shape."""
FIELD_SCORE = 0.9
"""The key of a field names the class."""
CONTEXT_SCORE = 0.85
"""Plausible shape and a word beside it that names the class, or a shape that few other things have."""


# Scripts that write without spaces may stand right beside a number: only Latin letters and digits go on with one.
BEFORE = r"(?<![0-9A-Za-zÀ-ɏ])"
AFTER = r"(?![0-9A-Za-zÀ-ɏ])"


@dataclass(frozen=True, slots=True)
class PatternHit:
    """Hold one value found in a text."""

    start: int
    end: int
    pii_class: PiiClass
    score: float


@dataclass(frozen=True, slots=True)
class ShapeRule:
    """Find by an expression over the text. The value is the group `v` of `shape`. It costs time by the length of the text."""

    pii_class: PiiClass
    shape: re.Pattern[str]
    validate: Validator | None = None
    score: float = CHECKED_SCORE
    needs: tuple[str, ...] = ()
    """A text with none of these, in small letters, need not be looked at."""
    grows: bool = False
    """The value begins with the word that the match stands in, and the capitalised words before it."""


@dataclass(frozen=True, slots=True)
class NumberRule:
    """Find by the form of one written number. `compact` are its bare characters, `layout` how they may be parted.

    Without `layout` the number stands together, or parted in any way that people part numbers.
    """

    pii_class: PiiClass
    compact: re.Pattern[str]
    check: Callable[[str], bool] | None = None
    layout: re.Pattern[str] | None = None
    score: float = CHECKED_SCORE


@dataclass(frozen=True, slots=True)
class LabelledRule:
    """Find by a word beside a number: how many characters and digits it then needs."""

    pii_class: PiiClass
    shortest: int
    longest: int
    min_digits: int
    digits_only: bool = False
    score: float = CONTEXT_SCORE


Rule = ShapeRule | NumberRule | LabelledRule


def numbers(
    pii_class: PiiClass,
    compact: str,
    check: Callable[[str], bool] | None = None,
    *,
    layout: str | None = None,
    score: float = CHECKED_SCORE,
) -> NumberRule:
    """Make a number rule."""
    return NumberRule(pii_class, re.compile(compact), check, re.compile(layout) if layout else None, score)


def shape(
    pii_class: PiiClass,
    pattern: str,
    validate: Validator | None = None,
    *,
    score: float = CHECKED_SCORE,
    needs: tuple[str, ...] = (),
    flags: int = 0,
) -> ShapeRule:
    """Make a shape rule. The whole pattern is the value, between characters that are no letters or digits."""
    return ShapeRule(pii_class, re.compile(rf"{BEFORE}(?P<v>{pattern}){AFTER}", flags), validate, score, needs)
