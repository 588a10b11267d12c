"""Regulated values that their own shape, check digits or a word beside them give away. Pure and cheap to import."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

from masking.candidates import Atom, Window, list_atoms, list_windows
from masking.classes import PiiClass
from masking.id_rules import LICENCE_RULES, NATIONAL_RULES, PASSPORT_RULES
from masking.labelled import find_labelled
from masking.labels import Label, list_labels
from masking.number_rules import ACCOUNT_RULES, CARD_RULES, ROUTING_RULES, WALLET_RULES
from masking.phones import DEFAULT_REGIONS, find_phones
from masking.place_rules import ADDRESS_RULES
from masking.rule import BEFORE, CHECKED_SCORE, CONTEXT_SCORE, FIELD_SCORE, LabelledRule, NumberRule, PatternHit, Rule, ShapeRule
from masking.secret_rules import CONTACT_RULES, DEVICE_RULES, SECRET_RULES
from masking.validators import IBAN_LENGTHS, alphanumeric_of, digits_of, is_iban

# A compiled expression does not tell how long its matches are; its parser does.
_PARSER: Any = import_module("re._parser")

__all__ = ["CHECKED_SCORE", "CONTEXT_SCORE", "DEFAULT_REGIONS", "FIELD_SCORE", "RULES", "PatternHit", "Rule", "find_patterns"]

RULES: tuple[Rule, ...] = (
    *CARD_RULES,
    *ACCOUNT_RULES,
    *ROUTING_RULES,
    *WALLET_RULES,
    *NATIONAL_RULES,
    *PASSPORT_RULES,
    *LICENCE_RULES,
    LabelledRule(PiiClass.IBAN, 15, 34, 9),
    LabelledRule(PiiClass.BIRTH_DATE, 4, 30, 2, score=CHECKED_SCORE),
    LabelledRule(PiiClass.ADDRESS, 3, 10, 2),
    *SECRET_RULES,
    *DEVICE_RULES,
    *CONTACT_RULES,
    *ADDRESS_RULES,
)
_IBAN_HEAD = re.compile(rf"(?:{BEFORE}|(?<=\?\d\d))(?:{'|'.join(sorted(IBAN_LENGTHS))})[ \-]?\d[ ]?\d", re.IGNORECASE)
_LONGEST_STREET = 80
_WORDS_BEFORE = re.compile(r"(?<![^\W_])(?:[^\W\d_a-zà-öø-ÿ][^\W\d_]{0,30}[ -]){0,3}[^\W\d_]{0,30}$")
_MARKS = re.compile(r"[^0-9A-Za-z]+")
_LETTER = re.compile(r"[0-9A-Za-zÀ-ɏ]")
_IBAN_GAPS = " -.\u00a0\u2009\u202f"
_LONGEST_IBAN_GAP = 2
_MIN_IBAN_DIGITS = 9


def find_patterns(
    text: str, *, regions: tuple[str, ...] = DEFAULT_REGIONS, classes: frozenset[PiiClass] | None = None
) -> Iterator[PatternHit]:
    """Yield what the rules find, overlaps included. `regions` are ISO country codes for phone numbers without a prefix.

    `classes` narrows the search; None is all. Time grows with the length of the text, not faster.
    """
    rules = [rule for rule in RULES if classes is None or rule.pii_class in classes]
    small = text.lower()
    for rule in rules:
        if isinstance(rule, ShapeRule):
            yield from _apply_shape(rule, text, small)
    if not any(character in text for character in "0123456789"):
        labels: list[Label] = []
        atoms: list[Atom] = []
    else:
        labels, atoms = list_labels(text), list_atoms(text)
        yield from _apply_number_rules(text, atoms, rules)
    labelled = {rule.pii_class: rule for rule in rules if isinstance(rule, LabelledRule)}
    yield from find_labelled(text, labels, atoms, labelled)
    if classes is None or PiiClass.IBAN in classes:
        yield from _find_ibans(text)
    if classes is None or PiiClass.PHONE in classes:
        for start, end, is_certain in find_phones(text, regions=regions, labels=labels):
            yield PatternHit(start, end, PiiClass.PHONE, CHECKED_SCORE if is_certain else CONTEXT_SCORE)


def _apply_shape(rule: ShapeRule, text: str, small: str) -> Iterator[PatternHit]:
    if rule.needs and not any(needed in small for needed in rule.needs):
        return
    for match in rule.shape.finditer(text):
        if rule.validate is None or rule.validate(match["v"]):
            start = _grow(text, match.start("v")) if rule.grows else match.start("v")
            yield PatternHit(start, match.end("v"), rule.pii_class, rule.score)


def _grow(text: str, start: int) -> int:
    """Return where the word begins that goes on here, or the capitalised words before it."""
    before = _WORDS_BEFORE.search(text, max(0, start - _LONGEST_STREET), start)
    return before.start() if before else start


def _apply_number_rules(text: str, atoms: Sequence[Atom], rules: Sequence[Rule]) -> Iterator[PatternHit]:
    by_length = _by_length(tuple(rule for rule in rules if isinstance(rule, NumberRule)))
    for first, atom in enumerate(atoms):
        if atom.is_reference:
            continue
        for window in list_windows(text, atoms, first):
            for rule in by_length.get(len(window.compact), ()):
                if _fits(rule, window):
                    yield PatternHit(window.start, window.end, rule.pii_class, rule.score)


def _fits(rule: NumberRule, window: Window) -> bool:
    if not rule.compact.fullmatch(window.compact):
        return False
    if rule.layout is not None:
        if not rule.layout.fullmatch(window.raw):
            return False
    elif window.pieces > 1 and not _is_parted_evenly(window):
        return False
    return rule.check is None or rule.check(window.compact)


def _is_parted_evenly(window: Window) -> bool:
    """Say whether digits stand in groups with one kind of mark between them; letters only stand together."""
    marks = set(_MARKS.findall(window.raw))
    return window.digits == len(window.compact) and len(marks) == 1


@lru_cache(maxsize=64)
def _by_length(rules: tuple[NumberRule, ...]) -> Mapping[int, tuple[NumberRule, ...]]:
    """Return which rules can take a number of so many characters."""
    return {length: tuple(rule for rule in rules if _can_be(rule, length)) for length in range(6, 41)}


def _can_be(rule: NumberRule, length: int) -> bool:
    shortest, longest = _PARSER.parse(rule.compact.pattern).getwidth()
    return bool(shortest <= length <= longest)


def _find_ibans(text: str) -> Iterator[PatternHit]:
    """Read as many characters as the country's IBAN has: what follows may be a word. One with a slip in it is still one."""
    for head in _IBAN_HEAD.finditer(text):
        wanted = IBAN_LENGTHS[head[0][:2].upper()]
        end, seen, gap = head.start(), 0, 0
        while end < len(text) and seen < wanted and gap <= _LONGEST_IBAN_GAP and (text[end].isalnum() or text[end] in _IBAN_GAPS):
            gap = 0 if text[end].isalnum() else gap + 1
            seen += text[end].isalnum()
            end += 1
        candidate = text[head.start() : end]
        if seen != wanted or not alphanumeric_of(candidate).isascii() or _LETTER.match(text, end):
            continue
        if is_iban(candidate):
            yield PatternHit(head.start(), end, PiiClass.IBAN, CHECKED_SCORE)
        elif len(digits_of(candidate)) >= _MIN_IBAN_DIGITS and _is_grouped_evenly(candidate):
            yield PatternHit(head.start(), end, PiiClass.IBAN, CONTEXT_SCORE)


def _is_grouped_evenly(candidate: str) -> bool:
    """Say whether it stands together or in groups of four, as IBANs are written."""
    groups = re.split(r"[^0-9A-Za-z]+", candidate)
    return len(groups) == 1 or all(len(group) == 4 for group in groups[:-1])
