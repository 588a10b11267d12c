"""How a known address may be written: line by line, abbreviated, number before or after the street, its postcode alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from masking.folding import fold_word
from masking.vault import KnownValue
from masking.word_lists import load_rows
from masking.written_forms import Needle, join_words

_SHORTEST_LINE = 5
_SHORTEST_TOWN = 4
_SHORTEST_STREET = 8
_SHORTEST_ALONE = 5
_PAIRS = tuple((row[0], row[1]) for row in load_rows("address_short_forms"))
_GLUED = (("strasse", "str"), ("straße", "str"), ("straat", "str"), ("gatan", "g"), ("platz", "pl"))
_POSTCODE = re.compile(
    r"(?<![\w-])(?:[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z][ -]?\d[A-Z]\d|[A-Z]\d{2} ?[A-Z\d]{4}|[A-Z]\d{4}[A-Z]{3}|"
    r"[A-Z]{2}-\d{3}-\d{4}|\d{5}-\d{3,4}|\d{4} ?[A-Z]{2}|\d{2}-\d{3}|\d{4}-\d{3}|\d{3}-\d{4}|\d{3} \d{2,3}|\d{4,7})(?![\w-])",
    re.IGNORECASE,
)
_HOUSE_FIRST = re.compile(r"(?P<house>\d+[A-Za-z]?(?:[/-]\d+[A-Za-z]?)?),? (?P<street>.+)")
_HOUSE_LAST = re.compile(r"(?P<street>.+?),? (?:no\.? ?|n[º°] ?|#)?(?P<house>\d+[A-Za-z]?(?:[/-]\d+[A-Za-z]?)?)", re.IGNORECASE)


def address_needles(known: KnownValue) -> Iterator[Needle]:
    """Yield the whole, each line, the street in its spellings, the postcode; the town counts near one of them only."""
    lines = [line.strip() for line in re.split(r"[,;\n|]", known.value) if fold_word(line)]
    if not lines:
        return
    yield _words(known.value, known)
    for left, right in pairwise(lines):
        if any(map(str.isdigit, left + right)):
            yield _words(f"{left} {right}", known)
    for line in lines:
        folded = fold_word(line)
        if any(map(str.isdigit, line)):
            yield from _numbered_line(line, folded, known)
        elif len(folded) >= _SHORTEST_TOWN:
            yield join_words(line.split(), known, gap_rule="words", is_part=True, needs_capital=False, needs_company=True)
    yield from _postcode_needles(lines, known)


def _numbered_line(line: str, folded: str, known: KnownValue) -> Iterator[Needle]:
    letters = sum(map(str.isalpha, folded))
    if len(folded) >= _SHORTEST_LINE and letters >= 3:
        for spelling in _spellings(line):
            yield _words(spelling, known)
    for shape in (_HOUSE_FIRST, _HOUSE_LAST):
        match = shape.fullmatch(line)
        if match is None or sum(map(str.isalpha, match["street"])) < 4:
            continue
        for street in _spellings(match["street"]):
            yield _words(f"{match['house']} {street}", known)
            yield _words(f"{street} {match['house']}", known)
            if len(fold_word(street)) >= _SHORTEST_STREET:
                yield join_words(street.split(), known, gap_rule="words", is_part=True, needs_capital=True)


def _spellings(line: str) -> list[str]:
    """Return a line as it is, with its long words abbreviated, and with its short ones written out."""
    small = line.casefold()
    spellings = {line: None}
    words = small.split()
    for long, short in _PAIRS:
        for old, new in ((long, short), (short, long)):
            at = [place for place, word in enumerate(words) if word.strip(".,") == old]
            if at:
                changed = list(words)
                changed[at[-1]] = new
                spellings[" ".join(changed)] = None
    for long, short in _GLUED:
        for old, new in ((long, short), (short, long)):
            for place, word in enumerate(words):
                stem = word.strip(".,")
                if stem.endswith(old) and len(stem) > len(old) + 2:
                    spellings[" ".join([*words[:place], stem.removesuffix(old) + new, *words[place + 1 :]])] = None
    return list(spellings)


def _postcode_needles(lines: list[str], known: KnownValue) -> Iterator[Needle]:
    for place, line in enumerate(lines):
        for match in _POSTCODE.finditer(line):
            if place == 0 and len(lines) > 1 and (match[0].isdecimal() or len(line) > len(match[0]) + 2):
                continue  # a house number, or a street's own
            folded = fold_word(match[0])
            alone = len(folded) >= _SHORTEST_ALONE
            yield Needle(folded, known, "number", needs_company=not alone, is_part=not alone)


def _words(text: str, known: KnownValue) -> Needle:
    return join_words(text.split(), known, gap_rule="words")
