"""Text folded to bare letters and digits, with the way back to the places in the original."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# Letters that Unicode does not decompose, as people type them on other keyboards.
_PLAIN = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŋ": "n"}


@dataclass(frozen=True, slots=True)
class FoldedText:
    """Hold the folded characters and, for each, its place in the original."""

    characters: str
    places: Sequence[int]


def fold_text(text: str) -> FoldedText:
    """Fold case, accents and width away and drop everything but letters and digits."""
    if text.isascii():
        places = [place for place, character in enumerate(text) if character.isalnum()]
        return FoldedText("".join(text[place] for place in places).lower(), places)
    characters: list[str] = []
    places = []
    for place, character in enumerate(text):
        folded = _fold_character(character)
        characters.append(folded)
        places += [place] * len(folded)
    return FoldedText("".join(characters), places)


def fold_case(text: str) -> str:
    """Return a text in small letters, place by place: a letter whose small form is longer stays as it is."""
    small = text.lower()
    return small if len(small) == len(text) else "".join(part if len(part := one.lower()) == 1 else one for one in text)


def fold_word(word: str) -> str:
    """Fold one value."""
    return fold_text(word).characters


def is_bare_gap(text: str) -> bool:
    """Say whether nothing visible stands here: combining marks and zero-width characters only."""
    return all(unicodedata.category(character) in {"Mn", "Cf"} for character in text)


def needs_boundary(character: str) -> bool:
    """Say whether words of this character's script stand apart by spaces (not so in Chinese, Japanese, Thai)."""
    return character.isalnum() and not ("\u0e00" <= character <= "\u0eff" or "\u2e80" <= character <= "\u9fff")


@lru_cache(maxsize=8192)
def _fold_character(character: str) -> str:
    decomposed = unicodedata.normalize("NFKD", character.casefold())
    return "".join(_PLAIN.get(part, part) for part in decomposed if part.isalnum())
