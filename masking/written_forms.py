"""How a known value may be written: names in several orders, numbers with separators, dates in a dozen layouts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

import phonenumbers

from masking.classes import PiiClass, canonical_form
from masking.folding import fold_word
from masking.vault import KnownValue
from masking.word_lists import load_words

GapRule = Literal["name", "number", "words"]
_PARTICLES = load_words("name_particles")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_COMMON_WORDS = load_words("common_names")
_MONTHS = (
    ("january", "jan"), ("february", "feb"), ("march", "mar"), ("april", "apr"), ("may", "may"), ("june", "jun"), ("july", "jul"),
    ("august", "aug"), ("september", "sept?"), ("october", "oct"), ("november", "nov"), ("december", "dec"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Needle:
    """Hold one written form, folded. A gap may stand before the characters in `joints`; `is_part` is one name of several."""

    folded: str
    known: KnownValue
    gap_rule: GapRule
    joints: frozenset[int] = frozenset()
    is_part: bool = False
    needs_capital: bool = False


def list_needles(known: KnownValue) -> Iterator[Needle]:
    """Yield the folded forms of a value. Birth dates have a pattern instead: see `birth_date_pattern`."""
    match known.pii_class:
        case PiiClass.PERSON:
            yield from _name_needles(known)
        case PiiClass.PHONE:
            yield from _phone_needles(known)
        case PiiClass.EMAIL:
            yield from _email_needles(known)
        case PiiClass.ADDRESS:
            yield from _address_needles(known)
        case PiiClass.BIRTH_DATE | PiiClass.SECRET:
            return
        case _:
            folded = fold_word(known.value)
            if len(folded) >= 5:
                yield Needle(folded, known, "number")


def birth_date_pattern(known: KnownValue) -> re.Pattern[str] | None:
    """Compile the layouts of one birth date, None if the value is no date."""
    try:
        day = date.fromisoformat(canonical_form(PiiClass.BIRTH_DATE, known.value))
    except ValueError:
        return None
    y, yy, m, d = f"{day.year}", f"{day.year % 100:02d}", f"0?{day.month}", f"0?{day.day}"
    s = r"\s?[-/.,\s]\s?"
    month = "(?:" + "|".join(_MONTHS[day.month - 1]) + r")\.?"
    nth = rf"{day.day}(?:st|nd|rd|th|\.)?"
    layouts = (
        rf"{y}{s}{m}{s}{d}", rf"{d}{s}{m}{s}(?:{y}|{yy})", rf"{m}{s}{d}{s}(?:{y}|{yy})",
        day.strftime("%Y%m%d"), day.strftime("%d%m%Y"),
        day.strftime("%m%d%Y"), rf"0?{nth}[\s-]+(?:of\s+)?{month}[\s,-]+(?:{y}|{yy})", rf"{month}\s+0?{nth},?\s+(?:{y}|{yy})",
    )  # fmt: skip
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(layouts)})(?![^\W_])", re.IGNORECASE)


def _joined(parts: list[str], known: KnownValue, *, is_part: bool = False, needs_capital: bool = False) -> Needle:
    """Join words. A hyphen or apostrophe inside a word is a joint as well."""
    joints: set[int] = set()
    folded = ""
    for part in parts:
        for piece in re.split(r"[\W_]+", part):
            piece_folded = fold_word(piece)
            if piece_folded:
                joints.add(len(folded))
                folded += piece_folded
    return Needle(folded, known, "name", frozenset(joints - {0}), is_part, needs_capital)


def _name_needles(known: KnownValue) -> Iterator[Needle]:
    spellings = dict.fromkeys((known.value, known.value.lower().translate(_UMLAUTS)))
    for spelling in spellings:
        words = [word.strip(".,") for word in spelling.split() if fold_word(word)]
        if not words:
            continue
        yield _joined(words, known)
        if len(words) < 2:
            continue
        first, last = words[0], words[-1]
        orders = ([*words[1:], first], [last, *words[:-1]], [first, last], [last, first], [first[0], last], [last, first[0]])
        for order in orders:
            yield _joined(order, known)
        for word in words:
            yield from _part_needles(word, known)
        for piece in re.split(r"[-‐]", last) if "-" in last or "‐" in last else ():
            yield from (_joined(order, known) for order in ([first, piece], [piece, first]))
            yield from _part_needles(piece, known)


def _part_needles(word: str, known: KnownValue) -> Iterator[Needle]:
    folded = fold_word(word)
    if folded in _PARTICLES or len(folded) < 2:
        return
    yield _joined([word], known, is_part=True, needs_capital=len(folded) < 3 or folded in _COMMON_WORDS)


def _phone_needles(known: KnownValue) -> Iterator[Needle]:
    digits = fold_word(known.value)
    forms = {digits, digits.removeprefix("00")}
    try:
        number = phonenumbers.parse(known.value if known.value.strip().startswith("+") else "+" + digits.removeprefix("00"), None)
        country, national = str(number.country_code), phonenumbers.national_significant_number(number)
        forms |= {f"{country}{national}", f"00{country}{national}", f"0{national}", national, f"{country}0{national}"}
        if len(national) >= 10:
            forms |= {national[-8:], national[-7:]}
    except phonenumbers.NumberParseException:
        pass
    for form in sorted(forms):
        if len(form) >= 6:
            yield Needle(form, known, "number")


def _email_needles(known: KnownValue) -> Iterator[Needle]:
    yield _joined([known.value], known)
    local, _, domain = known.value.partition("@")
    spoken = f"{local.replace('.', ' dot ')} at {domain.replace('.', ' dot ')}"
    yield _joined(spoken.split(), known)
    yield _joined(f"{local} at {domain.replace('.', ' dot ')}".split(), known)


def _address_needles(known: KnownValue) -> Iterator[Needle]:
    yield _words(known.value, known)
    for line in re.split(r"[,;\n]", known.value):
        if len(fold_word(line)) >= 5 and any(character.isdigit() for character in line):
            yield _words(line, known)
    for postcode in re.findall(r"\b[A-Za-z]{1,2}\d[A-Za-z\d]? \d[A-Za-z]{2}\b", known.value):
        yield _words(postcode, known)


def _words(text: str, known: KnownValue) -> Needle:
    joined = _joined(text.split(), known)
    return Needle(joined.folded, known, "words", joined.joints)
