"""How a known value may be written: names in several orders, numbers with separators, e-mails, logins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import phonenumbers

from masking.classes import PiiClass
from masking.folding import fold_word
from masking.vault import KnownValue
from masking.word_lists import load_words

GapRule = Literal["name", "number", "words"]
_PARTICLES = load_words("name_particles")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "ß": "ss"})
_TYPED_UMLAUTS = re.compile(r"(?<=[bcdfghjklmnprstvwz])([aou])e(?=[bcdfghjklmnprstvwz])")
_COMMON_WORDS = load_words("common_names")
_HONORIFICS = frozenset({
    "mr", "mrs", "ms", "miss", "mx", "dr", "prof", "herr", "frau", "sr", "sra", "srta", "mme", "mlle", "m", "don", "doña",
    "sir", "dame",
    "chief", "alhaji", "hajia", "engr", "barr", "smt", "shri", "sri", "encik", "puan", "tuan", "jr", "ii", "iii", "md", "phd",
})  # fmt: skip
_NO_INITIALS = load_words("no_initials")
_EMPTY_FORM = 4
_SHORTEST_NUMBER = 5
_SHORTEST_TAIL = 8
_SHORTEST_WORD_SECRET = 5
_HAN_NAME = re.compile(r"[\u3400-\u9fff\uac00-\ud7af]{2,5}")
_SPOKEN_MARKS = {".": " dot ", "_": " underscore ", "-": " dash ", "+": " plus "}


@dataclass(frozen=True, slots=True)
class Needle:
    """Hold one written form, folded. A gap may stand before the characters in `joints`; `is_part` is one name of several."""

    folded: str
    known: KnownValue
    gap_rule: GapRule
    joints: frozenset[int] = frozenset()
    is_part: bool = False
    needs_capital: bool = False
    all_capitals: bool = False
    """Counts only where every letter of it is a capital: initials."""
    needs_company: bool = False
    """Counts only near another piece of the same value: a town, a short postcode."""


def list_needles(known: KnownValue) -> Iterator[Needle]:
    """Yield the folded forms of a value. Birth dates have a pattern in `written_dates`, addresses their own forms."""
    match known.pii_class:
        case PiiClass.PERSON:
            yield from _name_needles(known)
        case PiiClass.PHONE:
            yield from _phone_needles(known)
        case PiiClass.EMAIL:
            yield from _email_needles(known)
        case PiiClass.IBAN:
            yield from _iban_needles(known)
        case PiiClass.ADDRESS | PiiClass.BIRTH_DATE:
            return
        case PiiClass.SECRET:
            folded = fold_word(known.value)
            if len(folded) >= _SHORTEST_WORD_SECRET and not known.value.isdecimal():
                yield Needle(folded, known, "number")
        case PiiClass.OTHER | PiiClass.USERNAME | PiiClass.CUSTOMER_ID:
            if len(fold_word(known.value)) >= _EMPTY_FORM:
                yield join_words(known.value.split(), known, gap_rule="words" if " " in known.value.strip() else "number")
        case _:
            yield from _number_needles(known)


def join_words(
    parts: list[str],
    known: KnownValue,
    *,
    gap_rule: GapRule = "name",
    is_part: bool = False,
    needs_capital: bool = False,
    needs_company: bool = False,
) -> Needle:
    """Join words to a form. A hyphen or apostrophe inside a word is a joint as well."""
    joints: set[int] = set()
    folded = ""
    for part in parts:
        for piece in re.split(r"[\W_]+", part):
            piece_folded = fold_word(piece)
            if piece_folded:
                joints.add(len(folded))
                folded += piece_folded
    return Needle(folded, known, gap_rule, frozenset(joints - {0}), is_part, needs_capital, needs_company=needs_company)


def _name_needles(known: KnownValue) -> Iterator[Needle]:
    value = known.value
    if value.count(",") == 1:
        last, _, first = value.partition(",")
        value = f"{first} {last}"
    for spelling in _spellings(value):
        words = [word.strip(".,") for word in spelling.split() if fold_word(word)]
        while len(words) > 1 and words[0].casefold() in _HONORIFICS:
            words = words[1:]
        while len(words) > 2 and words[-1].casefold() in _HONORIFICS:
            words = words[:-1]
        if not words:
            continue
        yield join_words(words, known)
        if len(words) == 1:
            yield from _han_parts(words[0], known)
            continue
        for order in _orders(words):
            yield join_words(order, known)
        for word in words:
            yield from _part_needles(word, known)
        yield from _hyphen_halves(words, known)
    yield from _initials(known)


def _spellings(value: str) -> list[str]:
    """Return the name as it is and as other keyboards write it: "Müller" and "Mueller"."""
    small = value.lower()
    return list(dict.fromkeys((value, small.translate(_UMLAUTS), _TYPED_UMLAUTS.sub(r"\1", small))))


def _orders(words: list[str]) -> Iterator[list[str]]:
    first, last, middle = words[0], words[-1], words[1:-1]
    yield [*words[1:], first]
    yield [last, *words[:-1]]
    yield [first, last]
    yield [last, first]
    yield [first[0], last]
    yield [last, first[0]]
    yield [first, last[0]]
    initials = [word[0] for word in middle]
    if middle:
        yield [first, *initials, last]
        yield [first[0], *initials, last]
        yield [first[0] + "".join(initials), last]
        yield [last, first, *initials]
        yield [last, first[0], *initials]
        yield [last, first[0] + "".join(initials)]
        yield [first[0], *middle, last]
        yield [first, *middle]
        yield [*middle, last]
    # Where the family name comes first: "Nguyen Thi Minh" is also "T. M. Nguyen", "Minh Nguyen".
    yield [*(word[0] for word in words[1:]), first]
    yield [first, *(word[0] for word in words[1:])]
    # A name between that the record does not have.
    spare = [word for word in words if word.casefold() in _PARTICLES]
    if spare:
        yield [word for word in words if word not in spare]


def _part_needles(word: str, known: KnownValue) -> Iterator[Needle]:
    folded = fold_word(word)
    if folded in _PARTICLES or len(folded) < 2:
        return
    needs_capital = (len(folded) < 3 and word[0].isascii()) or folded in _COMMON_WORDS
    yield join_words([word], known, is_part=True, needs_capital=needs_capital)


def _han_parts(word: str, known: KnownValue) -> Iterator[Needle]:
    """Yield the given name of a name that is written in one word: 王小明 is also 小明."""
    if _HAN_NAME.fullmatch(word):
        for size in (1, 2):
            if len(word) - size >= 2:
                yield join_words([word[size:]], known, is_part=True)


def _hyphen_halves(words: list[str], known: KnownValue) -> Iterator[Needle]:
    for at, word in enumerate(words):
        pieces = [piece for piece in re.split(r"[-‐‑–]", word) if piece]
        if len(pieces) < 2:
            continue
        for piece in pieces:
            yield join_words([*words[:at], piece, *words[at + 1 :]], known)
            yield join_words([piece, words[0]], known) if at else join_words([words[-1], piece], known)
            yield from _part_needles(piece, known)


def _initials(known: KnownValue) -> Iterator[Needle]:
    """Yield "MK" and "M.K.": in capitals only, and not where they are a word."""
    words = [word for word in re.split(r"[\s-]+", known.value) if word and word[0].isalpha()]
    for letters in {"".join(word[0] for word in words), words[0][0] + words[-1][0] if words else ""}:
        folded = fold_word(letters)
        if 2 <= len(folded) <= 4 and folded.isascii() and folded not in _NO_INITIALS:
            yield Needle(
                folded, known, "name", frozenset(range(1, len(folded))), is_part=True, needs_capital=True, all_capitals=True
            )


def _phone_needles(known: KnownValue) -> Iterator[Needle]:
    digits = fold_word(known.value)
    forms = {digits, digits.removeprefix("00"), digits.removeprefix("0")}
    try:
        number = phonenumbers.parse(known.value if known.value.strip().startswith("+") else "+" + digits.removeprefix("00"), None)
        country, national = str(number.country_code), phonenumbers.national_significant_number(number)
        forms |= {
            f"{country}{national}",
            f"00{country}{national}",
            f"0{national}",
            national,
            f"{country}0{national}",
            f"1{national}",
        }
        forms |= {f"011{country}{national}", f"00{country}0{national}", f"8{national}"}
        if len(national) >= 10:
            forms |= {national[-8:], national[-7:]}
        elif len(national) == 9:
            forms.add(national[-7:])
    except phonenumbers.NumberParseException:
        pass
    for form in sorted(forms):
        if len(form) >= 7 or form == digits:
            yield Needle(form, known, "number")


def _email_needles(known: KnownValue) -> Iterator[Needle]:
    yield join_words([known.value], known)
    local, _, domain = known.value.partition("@")
    said = "".join(_SPOKEN_MARKS.get(mark, mark) for mark in local)
    site = domain.replace(".", " dot ").replace("-", " dash ")
    for before, after in ((said, site), (local, site), (said, domain), (local, domain), (said.replace("dash", "hyphen"), site)):
        yield join_words(f"{before} at {after}".split(), known)
    folded = fold_word(local)
    if len(folded) >= 6 and (re.search(r"[\d._-]", local) or len(folded) >= 9):
        yield join_words([local], known, is_part=True)


def _iban_needles(known: KnownValue) -> Iterator[Needle]:
    """Yield the whole, what follows the country's check digits, and the account's number at its end."""
    folded = fold_word(known.value)
    if len(folded) < _SHORTEST_NUMBER:
        return
    yield Needle(folded, known, "number")
    tail = folded[4:]
    forms = {tail, tail.lstrip("abcdefghijklmnopqrstuvwxyz"), tail[-14:], tail[-12:], tail[-10:], tail[-8:]}
    forms |= {form.lstrip("0") for form in forms}
    for form in sorted(forms):
        if len(form) >= _SHORTEST_TAIL and form != folded:
            yield Needle(form, known, "number")


def _number_needles(known: KnownValue) -> Iterator[Needle]:
    folded = fold_word(known.value)
    bare = folded.lstrip("0")
    for form in dict.fromkeys((folded, bare if len(bare) >= 6 else folded)):
        if len(form) >= _SHORTEST_NUMBER:
            yield Needle(form, known, "number")
