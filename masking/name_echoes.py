"""A name that was found once is looked for in the rest of the text, also by one of its parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from masking.arbitration import Candidate, Places
from masking.classes import PiiClass
from masking.word_lists import load_words

_WORD = re.compile(r"[^\W\d_]+")
_LOGIN_CLASSES = frozenset({PiiClass.EMAIL, PiiClass.USERNAME})
_MIN_LETTERS = 3
_MIN_LOGIN_LETTERS = 4
_ECHO_SCORE = 0.7
_NO_ECHO = frozenset().union(
    *(load_words(name) for name in ("not_names", "common_names", "name_particles", "titles", "places", "mailboxes"))
)


def find_echoes(text: str, found: Sequence[Candidate], facts: Places) -> list[Candidate]:
    """Return the other places of the names in `found`, written with the same capitals; where a fact stands is none."""
    words = set(_list_words(text, found))
    if not words:
        return []
    taken = Places((one.start, one.end) for one in found)
    return [
        Candidate(match.start(), match.end(), PiiClass.PERSON, _ECHO_SCORE, "model")
        for match in _WORD.finditer(text)
        if match[0] in words and not taken.touches(*match.span()) and not facts.touches(*match.span())
    ]


def _list_words(text: str, found: Sequence[Candidate]) -> Iterator[str]:
    for one in found:
        if one.pii_class is PiiClass.PERSON:
            for match in _WORD.finditer(text, one.start, one.end):
                word = match[0]
                if len(word) >= _MIN_LETTERS and word.casefold() not in _NO_ECHO:
                    yield word
                    yield word.capitalize() if word.isupper() or word.islower() else word.upper()
        elif one.pii_class in _LOGIN_CLASSES:
            local = text[one.start : one.end].partition("@")[0]
            for match in _WORD.finditer(local):
                if len(match[0]) >= _MIN_LOGIN_LETTERS and match[0].casefold() not in _NO_ECHO:
                    yield match[0].capitalize()
