"""Names that the words around them, or lists of names, give away. No model.

A title, a label, a greeting or "my name is" says that a name follows; two listed names side by side need no word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from masking.folding import fold_case
from masking.gazetteer import is_everyday, is_given_name, is_listed_name
from masking.never_mask import is_edge_word
from masking.script_names import find_script_names
from masking.word_lists import load_alternatives, load_words

NAME_SCORE = 0.79
"""A guess still: facts cut it as they cut the model's."""
_LISTED_SCORE = 0.75
_LONE_SCORE = 0.6
_MAX_WORDS = 6
_MIN_LISTED_LETTERS = 3
_TITLES = load_words("titles")
_KIN = load_words("kin")
_PARTICLES = load_words("name_particles")
_COMMON = load_words("common_names")
_MARGIN = 8
_PLACES = load_words("places")
_STOP = load_words("small_words")
_MARK = r"\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0970-\u0dff\u0e31-\u0e4e\u1037-\u103e"
_LETTERS = rf"[^\W\d_](?:[^\W\d_]|[{_MARK}])*"
_WORD = re.compile(rf"{_LETTERS}(?:['’`\-.]{_LETTERS})*\.?")
# Titles that are words of their own elsewhere need a capital and a dot or a listed name behind them.
_TITLE_LIKE = re.compile(
    r"(?<![^\W_])(?:" + "|".join(sorted(map(re.escape, _TITLES), key=len, reverse=True)) + r")\.?[ \u00a0]+(?=\S)"
)
_LABEL = re.compile(
    rf"(?<![^\W_])(?:{load_alternatives('name_labels')})"
    r"(?P<colon>[ \t]*[:=#>|(][ \t\"'=>|-]*|[ \t]+(?:is|was|are|ist|est|es|é|è|:)[ \t]+|[ \t]{1,4})"
)
_INTRODUCTION = re.compile(
    rf"(?<![^\W_])(?:(?P<strong>{load_alternatives('name_introductions')})|(?:{load_alternatives('name_greetings')}))[\s,:]+(?=\S)"
)
_SPEAKING = re.compile(r"(?<![^\W_])(?P<v>[^\W\d_]{2,20}(?: [^\W\d_]{2,20})?) (?:here|speaking|hier|ici|aquí|aqui|qui)(?![^\W_])")
_KIN_LIKE = re.compile(
    r"(?<![^\W_])(?:"
    + "|".join(sorted(map(re.escape, _KIN), key=len, reverse=True))
    + r")(?:,| is| was|'s name is| named| called| -|:)?[ \t]+(?=\S)"
)
_CLOSING = re.compile(rf"(?:{load_alternatives('name_closings')})[ \t]*[,.!]?[ \t]*\r?\n[ \t\r\n]{{0,4}}(?=\S)")
_PERSON_WORD = re.compile(
    r"(?:cust|customer|client|caller|holder|tp|beneficiary|payee|escalated|assigned|spoke|spk|spkn|called by|signed)"
)
_PREPOSITION = re.compile(rf"(?<![^\W_])(?:{load_alternatives('name_prepositions')})[ ]+(?=\S)")
_LIST_ITEM = re.compile(r"(?:^|\n)[ \t]*(?:[-*•·–]|\d{1,2}[.)])[ \t]+(?=[^\W\d_])")
# SWIFT MT103 fields 50 and 59, and the name subfields of an MT940.
_SWIFT_PARTY = re.compile(r"(?::5[09][AFK]?:(?:/[^\s]{2,40})?[ \t]*\r?\n?|\?3[23])(?=[^\W\d_])")
# A line of a name, and an address below it.
# A cell of a name beside a cell of a long number, and an initial before a name in a cell.
_CELL = re.compile(r"[\"|;,\t\[][ ]?(?P<v>[^\W\d_][^\"|;,\t\n\d]{3,40}?)[ ]?[\"|;,\t]{1,3}[ ]?\"?(?=\d{5})")
_INITIAL_CELL = re.compile(r"[\"|;,\t][ ]?(?P<v>[^\W\d_]\.[ ]?[^\W\d_][^\W\d_'’-]{2,30})[ ]?(?=[\"|;,\t])")
_HEAD_LINE = re.compile(r"(?:^|\n)(?P<v>[^\W\d_][^\n\d,;:]{3,40})\r?\n(?=[^\n]{0,60}\d[^\n]{0,60}(?:\n|$))")
_INITIAL = re.compile(r"[^\W\d_]\.?$")


@dataclass(frozen=True, slots=True)
class _Word:
    """Hold one word of the text. `is_name` says that a list holds it."""

    start: int
    end: int
    text: str
    is_capital: bool
    is_upper: bool
    is_initial: bool
    is_name: bool


def find_names(text: str) -> Iterator[tuple[int, int, float]]:
    """Yield start, end and score of what is taken for a name, overlaps included."""
    words = [_read_word(match) for match in _WORD.finditer(text)]
    starts = {word.start: number for number, word in enumerate(words)}
    yield from _find_announced(text, words, starts)
    yield from _find_listed(text, words)
    if not text.isascii():
        yield from find_script_names(text)


def _read_word(match: re.Match[str]) -> _Word:
    word = match[0]
    end = match.end()
    is_initial = _INITIAL.fullmatch(word) is not None
    if word.endswith(".") and not is_initial:
        word, end = word[:-1], end - 1
    folded = word.casefold()
    named = len(word) >= 2 and (is_listed_name(word) or any(len(part) > 2 and is_listed_name(part) for part in _parts_of(word)))
    return _Word(
        start=match.start(), end=end, text=folded, is_capital=not word[0].islower(), is_upper=word.isupper() and len(word) > 1,
        is_initial=is_initial and word[0].isupper(), is_name=named,
    )  # fmt: skip


def _parts_of(word: str) -> list[str]:
    parts = re.split(r"['’`\-.]", word)
    return parts if len(parts) > 1 else []


def _find_announced(text: str, words: Sequence[_Word], starts: dict[int, int]) -> Iterator[tuple[int, int, float]]:
    small = fold_case(text)
    for match in _TITLE_LIKE.finditer(small):
        if text[match.start()].isupper() or match[0].rstrip().endswith("."):
            yield from _name_at(text, words, starts.get(match.end()), _ANY)
    for match in _LABEL.finditer(small):
        has_colon = any(character in ":=#>|(" for character in match["colon"])
        # Without a colon a label is any word: a listed name or two capitals must follow.
        wanted = _FIELD if has_colon else _RARE if _PERSON_WORD.match(match[0]) else _TWO
        yield from _name_at(text, words, starts.get(match.end()), wanted)
    for match in _INTRODUCTION.finditer(small):
        yield from _name_at(text, words, starts.get(match.end()), _SAID if match["strong"] else _RARE)
    for pattern, wanted in _IN_SMALL_LETTERS:
        for match in pattern.finditer(small):
            yield from _name_at(text, words, starts.get(_place_of(match)), wanted)
    for pattern, wanted in _AS_WRITTEN:
        for match in pattern.finditer(text):
            yield from _name_at(text, words, starts.get(_place_of(match)), wanted)


def _place_of(match: re.Match[str]) -> int:
    """Return where the name begins: at the group `v`, or behind the match."""
    return match.start("v") if "v" in match.re.groupindex else match.end()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Hold how much of a name must stand where one is announced. `least` unlisted words in capitals; 9: a listed name.

    `is_small`: an unlisted name in small letters is enough. `with_comma`: the surname may come first, with a comma or a slash.
    """

    least: int
    is_small: bool = False
    with_comma: bool = False


_ANY = _Wanted(1)
_FIELD = _Wanted(1, with_comma=True)
_RARE = _Wanted(1, with_comma=True)
_TWO = _Wanted(2, with_comma=True)
_SAID = _Wanted(1, is_small=True)
_IN_SMALL_LETTERS = ((_PREPOSITION, _TWO), (_KIN_LIKE, _RARE), (_SPEAKING, _RARE), (_CLOSING, _ANY))
_AS_WRITTEN = ((_LIST_ITEM, _TWO), (_SWIFT_PARTY, _ANY), (_INITIAL_CELL, _RARE), (_CELL, _TWO), (_HEAD_LINE, _TWO))


def _name_at(text: str, words: Sequence[_Word], number: int | None, wanted: _Wanted) -> Iterator[tuple[int, int, float]]:
    """Yield the name that begins with a word, if it is name enough."""
    if number is None:
        return
    while number < len(words) and words[number].text in _TITLES and _is_near(text, words, number):
        number += 1
    last = _read_run(text, words, number, wanted)
    if last is None:
        return
    run = words[number : last + 1]
    listed = any(word.is_name and word.text not in _PLACES and (word.is_capital or wanted is not _TWO) for word in run)
    rare = [word for word in run if word.is_capital and not word.is_initial and not _is_usual(word.text)]
    is_enough = listed or len([word for word in run if word.is_capital]) >= max(2, wanted.least)
    if wanted in {_ANY, _FIELD, _SAID}:
        is_enough = True
    elif wanted == _RARE:
        is_enough = listed or bool(rare)
    elif not listed and not rare:
        is_enough = False
    if is_enough and text[run[-1].end : run[-1].end + 1] not in {"=", "@"}:
        yield run[0].start, run[-1].end, NAME_SCORE


@lru_cache(maxsize=8192)
def _is_usual(word: str) -> bool:
    return word in _COMMON or word in _PLACES or word in _STOP or is_edge_word(word) or is_everyday(word)


def _is_near(text: str, words: Sequence[_Word], number: int) -> bool:
    return number + 1 < len(words) and text[words[number].end : words[number + 1].start].strip(". ") == ""


def _read_run(text: str, words: Sequence[_Word], number: int, wanted: _Wanted) -> int | None:
    """Return the number of the last word of a name that begins here, None if none does."""
    first = number
    while (
        number + 1 < len(words)
        and words[number].text in _PARTICLES
        and number - first < 2
        and words[number + 1].start - words[number].end == 1
    ):
        number += 1
    if number >= len(words) or not _may_begin(words[number], is_small=wanted.is_small):
        return None
    last = number
    at = number + 1
    while at < len(words) and at - number < _MAX_WORDS:
        gap = text[words[at - 1].end : words[at].start]
        word = words[at]
        if gap.strip(" \t\u00a0-'’.") or len(gap) > 2:
            turned = wanted.with_comma and gap in {", ", ",", "/"} and word.is_capital and last == at - 1 and at - number <= 2
            if not turned or not (word.is_name or word.is_initial or not _is_usual(word.text)):
                break
        if word.text in _PARTICLES and at + 1 < len(words) and (words[at + 1].text in _PARTICLES or _may_go_on(words[at + 1])):
            at += 1
            continue
        if not _may_go_on(word):
            break
        last = at
        at += 1
    return last


def _may_begin(word: _Word, *, is_small: bool) -> bool:
    if is_edge_word(word.text) or (len(word.text) < 2 and not word.is_initial) or word.text.startswith(("i'", "i’")):
        return False
    if word.is_capital:
        return word.text not in _STOP or word.is_name
    return word.is_name or (is_small and word.text not in _PARTICLES and len(word.text) > 2 and not _is_usual(word.text))


def _may_go_on(word: _Word) -> bool:
    if is_edge_word(word.text):
        return False
    return word.is_name or word.is_initial or (word.is_capital and word.text not in _STOP)


def _find_listed(text: str, words: Sequence[_Word]) -> Iterator[tuple[int, int, float]]:
    """Yield runs of listed names, and a listed name beside an initial."""
    number = 0
    while number < len(words):
        word = words[number]
        if not (word.is_name or word.is_initial) or is_edge_word(word.text):
            number += 1
            continue
        last = _read_listed(text, words, number)
        run = [one for one in words[number : last + 1] if one.text not in _PARTICLES or one.is_name]
        names = [one for one in run if one.is_name]
        if _is_a_name(run, names):
            yield words[number].start, words[last].end, _LISTED_SCORE
        elif len(names) == 1 == len(run) and (place := _pair_of(text, words, number)):
            yield *place, _LISTED_SCORE
        elif len(names) == 1 == len(run) and _stands_alone(text, names[0]):
            yield names[0].start, names[0].end, _LONE_SCORE
        number = last + 1


def _pair_of(text: str, words: Sequence[_Word], number: int) -> tuple[int, int] | None:
    """Return a listed name with an unlisted word beside it that is no everyday word: "DEEPIKA Chatterjee" where one is listed."""
    own = words[number]
    if not own.is_capital or _is_usual(own.text) or len(own.text) < _MIN_LISTED_LETTERS:
        return None
    for left, right in ((number - 1, number), (number, number + 1)):
        if left < 0 or right >= len(words) or text[words[left].end : words[right].start] != " ":
            continue
        other = words[left] if right == number else words[right]
        alike = other.is_capital and other.is_upper == own.is_upper and len(other.text) >= _MIN_LISTED_LETTERS
        if alike and not _is_usual(other.text):
            return words[left].start, words[right].end
    return None


def _read_listed(text: str, words: Sequence[_Word], number: int) -> int:
    last = number
    at = number + 1
    while at < len(words) and at - number < _MAX_WORDS + 1:
        gap = text[words[at - 1].end : words[at].start]
        word = words[at]
        joined = gap in {" ", "-", "\t", "\u00a0", ". ", "  ", ", ", "/", ""} or (gap == "," and word.is_capital)
        if not joined or (gap in {", ", ",", "/"} and at - number > 2):
            break
        if word.is_name or word.is_initial:
            last = at
        elif word.text not in _PARTICLES:
            break
        at += 1
    return last


def _is_a_name(run: Sequence[_Word], names: Sequence[_Word]) -> bool:
    """Say whether words of the lists make a name: two of them, or one beside an initial, not all of them everyday words."""
    rare = [one for one in names if one.text not in _COMMON and one.text not in _PLACES]
    if not rare:
        return False
    if all(one.is_capital for one in names):
        initials = [one for one in run if one.is_initial and one.is_capital]
        return len(names) >= 2 or (bool(initials) and len(names[0].text) >= _MIN_LISTED_LETTERS)
    small = [one for one in rare if len(one.text) >= _MIN_LISTED_LETTERS]
    return len(small) >= 2 and any(is_given_name(one.text) for one in small)


def _stands_alone(text: str, word: _Word) -> bool:
    """Say whether a single listed given name is meant as one: with a capital inside a sentence of small letters."""
    if (
        not word.is_capital
        or word.is_upper
        or word.text in _COMMON
        or word.text in _PLACES
        or len(word.text) < _MIN_LISTED_LETTERS
    ):
        return False
    return is_given_name(word.text) and not text[max(0, word.start - 1) : word.start].strip(" (\n\"'“,")
