"""Words that carry no fact: a sentence may use them freely. Every other word must stand in what the sentence cites."""

from __future__ import annotations

import re

_FREE = (
    "a an the this that these those it its they them their there here he she his her him we our you your i my me",
    "and or but as also while when which who what where how is are was were be been being am has have had having do does did",
    "can could would of in on at to from for with by about into per via please hello dear regards thank thanks regarding",
    "concerning following see seen show shows shown customer transaction record records charge amount date day currency",
)
FREE_WORDS = frozenset(word for line in _FREE for word in line.split())
NEGATIONS = frozenset(
    "not no never none nothing neither nor without cannot nobody isn wasn didn doesn don won".split()  # noqa: SIM905 - one line
)
_WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:['’][^\W\d_]+)?(?!\w)")


def words_of(text: str) -> list[str]:
    """Return the words of a text, case folded; numbers and tokens are no words."""
    return [word.casefold() for word in _WORD.findall(text)]


def stem(word: str) -> str:
    """Cut an English ending, so that `declined` and `decline` meet. Crude: it only has to be the same on both sides."""
    plain = word.replace("’", "'").removesuffix("'s")
    for ending in ("ments", "ment", "ings", "ing", "ied", "ies", "ed", "es", "s", "e", "y"):
        if plain.endswith(ending) and len(plain) - len(ending) >= 3:
            return plain[: -len(ending)]
    return plain


def has_negation(text: str) -> bool:
    """Say whether a text denies something."""
    found = set(re.findall(r"[^\W\d_]+", text.casefold()))
    return bool(found & NEGATIONS) or "n't" in text.casefold().replace("’", "'")
