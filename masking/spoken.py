"""Numbers, spelled words and e-mail addresses as people say them: "four one one", "M as in Mike", "anna dot b at x dot com"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from masking.folding import fold_case
from masking.spoken_dates import list_said_dates
from masking.word_lists import load_rows, load_words

Piece = tuple[str, int, int]
"""Characters of the reading and the place in the text that they stand for."""

_ROWS = load_rows("number_words")
_DIGITS, _TEENS, _TENS = _ROWS[:10], _ROWS[10:20], _ROWS[20:]
_REPEATS = {"double": 2, "doppel": 2, "doppelt": 2, "doble": 2, "dubbel": 2, "dobro": 2, "triple": 3, "treble": 3, "dreifach": 3}
_FILLERS = frozenset({"uh", "um", "er", "ehm", "ähm", "then", "dash", "hyphen", "space"})
_NATO = {word: word[0].upper() for word in load_words("spelling_alphabet")}
_WORD = re.compile(r"(?<!['’])[^\W\d_]+(?:-[^\W\d_]+)*|\d+")
_AS_IN = re.compile(r"\s{1,3}(?:as in|for|like|wie|comme|como|de|come)\s{1,3}[^\W\d_]+", re.IGNORECASE)
_GAP = re.compile(r"[\s,\-–—…]*|\.{2,3}\s*|\.\s?")
_MIN_TOKENS = 3

_AT = (
    r"(?:\s{0,3}[(\[]\s{0,3}at\s{0,3}[)\]]\s{0,3}"
    r"|\s{1,3}(?:at|arroba|arobase|chiocciola|klammeraffe|apenstaartje|małpa|snabel-a|kukac|et)\s{1,3}"
    r"|\s{0,3}@\s{0,3})"
)
_DOT = r"(?:\s{0,3}[(\[]\s{0,3}dot\s{0,3}[)\]]\s{0,3}|\s{1,3}(?:dot|punkt|punto|ponto|point|punt|kropka|nokta|prik)\s{1,3}|\.)"
_LINK = r"(?:\s{1,3}(?:dot|punkt|punto|ponto|point|punt|underscore|unterstrich|dash|hyphen|minus|guión|tiret|plus)\s{1,3}|[.\-_])"
# Without the links, so that a text can be read in one way only.
_PART = r"(?:[^\W_]|\+){1,40}"
_EMAIL = re.compile(
    rf"(?<![\w@])(?P<local>(?!(?:me|us|him|her|them|you|it|up)\b){_PART}(?:{_LINK}{_PART}){{0,5}}){_AT}"
    rf"(?P<domain>[^\W_][\w-]{{0,40}}(?:{_DOT}[^\W_][\w-]{{0,40}}){{1,4}})(?!\w)",
    re.IGNORECASE,
)
_SPOKEN_EMAIL = re.compile(
    rf"{_AT}[\w-]{{1,40}}{_DOT}\w|\w\s{{1,3}}(?:dot|punkt|punto|ponto|point|punt)\s{{1,3}}\w[^@\n]{{0,60}}@", re.IGNORECASE
)
_MAIL_WORD = re.compile(r"mail|correo|address", re.IGNORECASE)
_PROVIDERS = tuple(load_words("mail_providers"))
_LINK_CHARACTERS = {
    "underscore": "_",
    "unterstrich": "_",
    "dash": "-",
    "hyphen": "-",
    "minus": "-",
    "guión": "-",
    "tiret": "-",
    "plus": "+",
}


def _digit_words() -> dict[str, str]:
    """Return what each number word stands for, zero to ninety-nine."""
    words = {word: str(digit) for digit, forms in enumerate(_DIGITS) for word in forms}
    words |= {word: str(10 + place) for place, forms in enumerate(_TEENS) for word in forms}
    for place, forms in enumerate(_TENS, start=2):
        words |= dict.fromkeys(forms, f"{place}0")
        for ten, (digit, forms_of_one) in product(forms, enumerate(_DIGITS)):
            if digit:
                words |= {f"{ten}-{one}": f"{place}{digit}" for one in forms_of_one}
                words |= {f"{one}{link}{ten}": f"{place}{digit}" for one in forms_of_one for link in ("und", "en", "ën")}
                words |= {f"{ten}{one}": f"{place}{digit}" for one in forms_of_one if len(one) > 2}
    words |= {f"{stem}-{teen}": f"{base + place}" for stem, base in (("soixante", 70), ("quatre-vingt", 90))
              for place, forms in enumerate(_TEENS) for teen in forms}  # fmt: skip
    return words


_DIGIT_WORDS = _digit_words()
_TENS_WORDS = frozenset(word for words in _TENS for word in words)
_ONES = {word: digits for word, digits in _DIGIT_WORDS.items() if len(digits) == 1 and digits != "0"}
_SAID_WORDS = frozenset(_DIGIT_WORDS) | frozenset(_NATO) | frozenset(_REPEATS)
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class _Said:
    """Hold one or a few words that stand for characters."""

    start: int
    end: int
    characters: str
    is_spelled: bool
    words: int = 1


def read_spoken(text: str) -> list[Piece] | None:
    """Return the text with what was said put into characters, None where nothing was."""
    pieces: list[Piece] | None = None
    written = text
    for find in (list_said_dates, _find_runs, _find_emails):
        found = find(fold_case(written) if find is list_said_dates else written)
        if found:
            pieces = _compose(pieces, _replace(written, found))
            written = "".join(piece[0] for piece in pieces)
    return pieces


def _compose(below: list[Piece] | None, pieces: list[Piece]) -> list[Piece]:
    """Carry pieces of a reading back to the text that was read. Pieces of a first reading are single characters."""
    if below is None:
        return pieces
    return [(part, below[start][1], below[end - 1][2]) for part, start, end in pieces]


def _find_runs(text: str) -> list[tuple[int, int, str]]:
    return _list_runs(text) if _looks_spoken(fold_case(text)) else []


def _find_emails(text: str) -> list[tuple[int, int, str]]:
    if _SPOKEN_EMAIL.search(fold_case(text)) is None:
        return []
    emails = [(match.start(), match.end(), _write_email(match)) for match in _EMAIL.finditer(text)]
    return [email for email in emails if email[2] != text[email[0] : email[1]] and _is_meant(text, *email)]


def find_said_runs(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the places where digits or letters are said one by one, and the characters."""
    if _looks_spoken(fold_case(text)):
        yield from _list_runs(text)


def _looks_spoken(small: str) -> bool:
    """Say whether words for a run stand side by side: in most texts none do."""
    count, together, before = 0, False, False
    for word in _LETTERS.findall(small):
        is_said = len(word) == 1 or word in _SAID_WORDS
        count += is_said
        together = together or (is_said and before)
        before = is_said
    return together and count >= _MIN_TOKENS


def _replace(text: str, runs: Sequence[tuple[int, int, str]]) -> list[Piece]:
    pieces: list[Piece] = []
    done = 0
    for start, end, characters in runs:
        pieces += [(text[place], place, place + 1) for place in range(done, start)]
        pieces += [(character, start, end) for character in characters]
        done = end
    return pieces + [(text[place], place, place + 1) for place in range(done, len(text))]


def _is_meant(text: str, start: int, end: int, email: str) -> bool:
    """Say whether "x at y.com" is an address: dots are spoken too, the mail's provider is known, or a word says so."""
    domain = email.partition("@")[2]
    said = re.search(r"\s\w+\s|[(\[]", re.sub(_AT, "@", text[start:end], count=1, flags=re.IGNORECASE)) is not None
    return said or _MAIL_WORD.search(text, max(0, start - 40), start) is not None or domain.casefold().startswith(_PROVIDERS)


def _write_email(match: re.Match[str]) -> str:
    def link(found: re.Match[str]) -> str:
        word = found[0].strip().casefold()
        return _LINK_CHARACTERS.get(word, word if word in ".-_" else ".")

    local = re.sub(_LINK, link, match["local"], flags=re.IGNORECASE)
    return f"{local}@{re.sub(_DOT, '.', match['domain'], flags=re.IGNORECASE)}"


def _list_runs(text: str) -> list[tuple[int, int, str]]:
    runs: list[tuple[int, int, str]] = []
    run: list[_Said] = []
    for said in _list_said(text):
        if run and not _follows(text, run[-1], said):
            runs += _close(run)
            run = []
        run.append(said)
    return runs + _close(run)


def _close(run: list[_Said]) -> list[tuple[int, int, str]]:
    """Take a run of at least three words, most of them said and not written."""
    while run and not run[-1].characters:
        run = run[:-1]
    while run and not run[0].characters:
        run = run[1:]
    said = sum(one.words for one in run if one.is_spelled)
    total = sum(one.words for one in run if one.characters)
    if total < _MIN_TOKENS or 2 * said < total:
        return []
    return [(run[0].start, run[-1].end, "".join(one.characters for one in run))]


def _follows(text: str, left: _Said, right: _Said) -> bool:
    gap = text[left.end : right.start]
    if "," in gap and left.is_spelled != right.is_spelled:
        # "one seven six, 12.50 euros": what was written after a comma is another number.
        return False
    return len(gap) <= 4 and _GAP.fullmatch(gap) is not None and not (gap.startswith(".") and len(left.characters) > 1)


def _list_said(text: str) -> Iterator[_Said]:
    words = list(_WORD.finditer(text))
    number = 0
    while number < len(words):
        said, used = _read_word(text, words, number)
        if said is not None:
            yield said
        number += used


def _read_word(text: str, words: list[re.Match[str]], number: int) -> tuple[_Said | None, int]:
    word = words[number]
    folded = word[0].casefold()
    if folded in _REPEATS and number + 1 < len(words):
        said, used = _read_word(text, words, number + 1)
        if said is not None and len(said.characters) == 1:
            return _Said(word.start(), said.end, said.characters * _REPEATS[folded], is_spelled=True), used + 1
        return None, 1
    if folded in _FILLERS:
        return _Said(word.start(), word.end(), "", is_spelled=False), 1
    if word[0].isdigit():
        return _Said(word.start(), word.end(), word[0], is_spelled=False), 1
    if len(folded) == 1:
        return _read_letter(text, words, number)
    if folded in _DIGIT_WORDS:
        return _read_number(text, words, number)
    if folded in _NATO:
        return _Said(word.start(), word.end(), _NATO[folded], is_spelled=True), 1
    parts = folded.split("-")
    if len(parts) > 1 and all(part in _DIGIT_WORDS or len(part) == 1 or part in _NATO for part in parts):
        characters = "".join(_DIGIT_WORDS.get(part) or _NATO.get(part) or part.upper() for part in parts)
        return _Said(word.start(), word.end(), characters, is_spelled=True, words=len(parts)), 1
    return None, 1


def _read_letter(text: str, words: list[re.Match[str]], number: int) -> tuple[_Said, int]:
    word = words[number]
    meant = _AS_IN.match(text, word.end())
    end = meant.end() if meant else word.end()
    used = 1
    while number + used < len(words) and words[number + used].start() < end:
        used += 1
    return _Said(word.start(), end, word[0].upper(), is_spelled=True, words=2 if meant else 1), used


def _read_number(text: str, words: list[re.Match[str]], number: int) -> tuple[_Said, int]:
    """Read one number word, or a ten and a one: "forty two"."""
    word = words[number]
    digits = _DIGIT_WORDS[word[0].casefold()]
    if word[0].casefold() in _TENS_WORDS and number + 1 < len(words):
        after = words[number + 1]
        one = _ONES.get(after[0].casefold())
        if one is not None and text[word.end() : after.start()] == " ":
            return _Said(word.start(), after.end(), digits[0] + one, is_spelled=True), 2
    return _Said(word.start(), word.end(), digits, is_spelled=True), 1
