"""How else may a text be read? Without invisible characters, as digits instead of words, without a scanner's mistakes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from masking.spoken import read_spoken
from masking.word_lists import load_rows

ReadingName = Literal["clean", "spoken", "scanned"]

_LOOK_ALIKES = {pair[0]: pair[1] for row in load_rows("look_alikes") for pair in row}
_LATIN_OR_DIGIT = re.compile(r"[0-9A-Za-z]")
_WORD = re.compile(r"\w+")
_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d")
_MARKS = frozenset({"Cf", "Me"})
_SYMBOLS = r"[\U0001f000-\U0001faff\u2190-\u21ff\u2300-\u2bff\u200d\ufe0f\u20e3]+"
# A picture between two digits, or between the single letters of a word, is there to hide the word.
_HIDING = re.compile(rf"(?<=\d){_SYMBOLS}(?=\d)|(?<!\w)\w(?:{_SYMBOLS}\w){{2,}}(?!\w)")
_SYMBOL_RUN = re.compile(_SYMBOLS)

_LOOKS_TRICKY = re.compile(
    r"(?![0-9])\d|[\u00ad\u00b2\u00b3\u00b9\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u209f\u20e3\u2460-\u24ff\ufe00-\ufe0f\ufeff\uff00-\uffef"
    r"\U0001d400-\U0001d7ff\U000e0000-\U000e007f]|[0-9][\u00a0\u2000-\u200a\u2010-\u2013\u202f\u205f\u2212\u3000]+[0-9]"
    r"|[A-Za-z0-9][\u0370-\u04ff]|[\u0370-\u04ff][A-Za-z0-9]|\w[\U0001f000-\U0001faff\u2190-\u21ff\u2300-\u2bff]+\w"
)

_MISREAD_DIGITS = str.maketrans("OoQDlI|!SsBZz", "0000111155822")
_DIGIT_LIKE = frozenset("OoQDlI|!SsBZz")
_MISREAD_LETTERS = {"0": "Oo", "1": "Il", "5": "Ss", "8": "BB", "|": "Il"}
_SCANNED_WORD = re.compile(r"[0-9A-Za-z|!]+")
_BROKEN_RUN = re.compile(r"(?<=[0-9])[ \t]*\r?\n[ \t]*(?=[0-9])")
_BROKEN_WORD = re.compile(r"(?<=[^\W\d_])-[ \t]*\r?\n[ \t]*(?=[^\W\d_])")
_LOOKS_SCANNED = re.compile(r"[0-9][A-Za-z|!]|[A-Za-z|!][0-9]|[0-9][ \t]*\r?\n[ \t]*[0-9]|[^\W\d_]-[ \t]*\r?\n[ \t]*[^\W\d_]")
_ENOUGH_DIGITS = 3
_MAX_WORD = 80


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold one way to read a text. `starts` and `ends` give each of its characters its place in the original."""

    name: ReadingName
    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the place in the original, whole characters. `start < end`."""
        return self.starts[start], self.ends[end - 1]

    def list_changes(self, text: str, *, margin: int) -> list[tuple[int, int]]:
        """Return the places of this reading that differ from the text, whole words with so many characters around them."""
        places: list[tuple[int, int]] = []
        before = 0
        for place, (character, start, end) in enumerate(zip(self.text, self.starts, self.ends, strict=True)):
            if start != before or end - start != 1 or text[start] != character:
                low, high = max(0, place - margin), min(len(self.text), place + margin + 1)
                if places and low <= places[-1][1]:
                    places[-1] = (places[-1][0], high)
                else:
                    places.append((low, high))
            before = end
        return [(self._word_start(low), self._word_end(high)) for low, high in places]

    def _word_start(self, place: int) -> int:
        stop = max(0, place - _MAX_WORD)
        while place > stop and not self.text[place - 1].isspace():
            place -= 1
        return place

    def _word_end(self, place: int) -> int:
        stop = min(len(self.text), place + _MAX_WORD)
        while place < stop and not self.text[place].isspace():
            place += 1
        return place


def read_again(text: str) -> tuple[Reading, ...]:
    """Return the readings that differ from the text as it stands: none for most texts."""
    clean = read_clean(text)
    base = clean.text if clean else text
    others: list[Reading] = []
    spoken = read_spoken(base)
    if spoken is not None:
        others.append(_on_top(clean, Reading("spoken", *_columns(spoken))))
    scanned = _read_scanned(base)
    if scanned is not None:
        others.append(_on_top(clean, scanned))
    return (clean, *others) if clean else tuple(others)


def read_clean(text: str) -> Reading | None:
    """Return the text without invisible characters, with ASCII digits, dashes, spaces and letters; None if it is so already."""
    if text.isascii() or _LOOKS_TRICKY.search(text) is None:
        return None
    runs = (run for match in _HIDING.finditer(text) for run in _SYMBOL_RUN.finditer(text, *match.span()))
    hidden = {place for run in runs for place in range(*run.span())}
    mixed = {place for match in _WORD.finditer(text) if _is_mixed(match[0]) for place in range(*match.span())}
    pieces: list[tuple[str, int, int]] = []
    for place, character in enumerate(text):
        plain = "" if place in hidden else _clean_character(character)
        if place in mixed:
            plain = _LOOK_ALIKES.get(plain, plain)
        if plain:
            pieces += [(part, place, place + 1) for part in plain]
        elif pieces:
            part, start, _ = pieces[-1]
            pieces[-1] = (part, start, place + 1)
    reading = Reading("clean", *_columns(pieces))
    return reading if reading.text and reading.text != text else None


def _is_mixed(word: str) -> bool:
    return not word.isascii() and _LATIN_OR_DIGIT.search(word) is not None and any(letter in _LOOK_ALIKES for letter in word)


@lru_cache(maxsize=8192)
def _clean_character(character: str) -> str:
    """Return what a character stands for: "" for what nobody sees, else one character or more."""
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category in _MARKS or "\ufe00" <= character <= "\ufe0f":
        return ""
    if category in {"Nd", "No"}:
        value = unicodedata.digit(character, None)
        return character if value is None else str(value)
    if category == "Zs":
        return " "
    if character in _DASHES:
        return "-"
    is_wide = "\uff00" <= character <= "\uffef" or "\U0001d400" <= character <= "\U0001d7ff"
    return unicodedata.normalize("NFKC", character) if is_wide else character


def _read_scanned(text: str) -> Reading | None:
    """Return the text with a scanner's usual mistakes undone, None where there is nothing to undo."""
    if _LOOKS_SCANNED.search(text) is None:
        return None
    corrections = sorted(_list_corrections(text))
    if not corrections:
        return None
    parts: list[str] = []
    starts: list[int] = []
    done = 0
    for start, end, instead in corrections:
        if start < done:
            continue
        parts += [text[done:start], instead]
        starts += [*range(done, start), *(range(start, end) if len(instead) == end - start else [start] * len(instead))]
        done = end
    parts.append(text[done:])
    starts += range(done, len(text))
    # A character of a corrected place that became shorter reaches to the next one.
    ends = [place + 1 for place in starts]
    return Reading("scanned", "".join(parts), starts, ends)


def _list_corrections(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _BROKEN_RUN.finditer(text):
        yield *match.span(), " "
    for match in _BROKEN_WORD.finditer(text):
        yield *match.span(), ""
    words = list(_SCANNED_WORD.finditer(text))
    numeric = [sum(character.isdigit() for character in match[0]) for match in words]
    for number, match in enumerate(words):
        word = match[0]
        if word.isdigit():
            continue
        like = sum(character in _DIGIT_LIKE for character in word)
        near = any(
            0 <= other < len(words) and numeric[other] and _stand_together(words[min(number, other)], words[max(number, other)])
            for other in (number - 1, number + 1)
        )
        enough = numeric[number] >= _ENOUGH_DIGITS or (numeric[number] + like) * 5 >= len(word) * 3
        instead = word
        if like and enough and (numeric[number] or near):
            instead = word.translate(_MISREAD_DIGITS)
        elif numeric[number] and 5 * numeric[number] <= 2 * len(word):
            instead = "".join(_MISREAD_LETTERS.get(part, part * 2)[word.islower() or word[1:].islower()] for part in word)
        if instead != word:
            yield *match.span(), instead


def _stand_together(left: re.Match[str], right: re.Match[str]) -> bool:
    return right.start() - left.end() <= 1


def _columns(pieces: Iterable[tuple[str, int, int]]) -> tuple[str, list[int], list[int]]:
    parts, starts, ends = [], [], []
    for part, start, end in pieces:
        parts.append(part)
        starts += [start] * len(part)
        ends += [end] * len(part)
    return "".join(parts), starts, ends


def _on_top(below: Reading | None, reading: Reading) -> Reading:
    """Carry a reading of a reading back to the original."""
    if below is None:
        return reading
    starts = [below.starts[place] for place in reading.starts]
    ends = [below.ends[place - 1] for place in reading.ends]
    return Reading(reading.name, reading.text, starts, ends)
