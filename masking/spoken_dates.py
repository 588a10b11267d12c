"""Dates as English speakers say them: "the twenty first of May nineteen eighty two"."""

from __future__ import annotations

import re

from masking.word_lists import load_rows

_ROWS = load_rows("number_words")
_ONES, _TEENS, _TENS = ([row[0] for row in rows] for rows in (_ROWS[1:10], _ROWS[10:20], _ROWS[20:]))
_ORDINALS = [word for row in load_rows("said_days") for word in row]
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip


def _small_numbers() -> dict[str, int]:
    words = {word: number for number, word in enumerate([*_ONES, *_TEENS], start=1)}
    for ten, word in enumerate(_TENS, start=2):
        words[word] = 10 * ten
        words |= {f"{word} {one}": 10 * ten + number for number, one in enumerate(_ONES, start=1)}
    return words


_NUMBERS = _small_numbers()
_DAYS = (
    {word: number for number, word in enumerate(_ORDINALS, start=1)}
    | {f"twenty {word}": 20 + number for number, word in enumerate(_ORDINALS[:9], start=1)}
    | {"thirtieth": 30, "thirty first": 31}
    | {word: number for word, number in _NUMBERS.items() if number <= 31}
)


def _either(words: dict[str, int]) -> str:
    return "|".join(sorted((word.replace(" ", "[ -]") for word in words), key=len, reverse=True))


_SMALL = _either(_NUMBERS)
_DAY = rf"(?P<d{{0}}>{_either(_DAYS)}|\d{{{{1,2}}}}(?:st|nd|rd|th)?)"
_MONTH = rf"(?P<m{{0}}>{'|'.join(_MONTHS)})"
_YEAR = (
    r"(?P<y{0}>(?P<c{0}>eighteen|nineteen|twenty)(?:[ -]hundred(?:[ -]and)?)?[ -]"
    rf"(?P<z{{0}}>(?:oh|o|zero)[ -](?:{'|'.join(_ONES)})|{_SMALL})"
    rf"|two[ ]thousand(?:(?:[ ]and)?[ -](?P<k{{0}}>{_SMALL}))?)"
)
_DATE = re.compile(
    rf"\b(?:{_DAY.format(1)}(?:[ ]of)?[ ]{_MONTH.format(1)},?[ ]{_YEAR.format(1)}"
    rf"|{_MONTH.format(2)}[ ](?:the[ ])?{_DAY.format(2)},?[ ]{_YEAR.format(2)})\b"
)
_LOOKS_LIKE = re.compile(r"(?:eighteen|nineteen|twenty|two thousand)[ -]")


def list_said_dates(small: str) -> list[tuple[int, int, str]]:
    """Return the places of said dates in a text of small letters, and the dates as "21 May 1982"."""
    if _LOOKS_LIKE.search(small) is None:
        return []
    return [(match.start(), match.end(), _write(match)) for match in _DATE.finditer(small)]


def _write(match: re.Match[str]) -> str:
    way = "1" if match["d1"] else "2"
    said = match[f"d{way}"].replace("-", " ")
    day = _DAYS.get(said) or int(re.sub(r"\D", "", said))
    if match[f"c{way}"]:
        rest = match[f"z{way}"].replace("-", " ").split()
        small = " ".join(rest[1:]) if rest[0] in {"oh", "o", "zero"} else " ".join(rest)
        year = 100 * _NUMBERS[match[f"c{way}"]] + _NUMBERS[small]
    else:
        year = 2000 + (_NUMBERS[match[f"k{way}"].replace("-", " ")] if match[f"k{way}"] else 0)
    return f"{day} {match[f'm{way}'].capitalize()} {year}"
