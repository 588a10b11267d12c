"""How one birth date may be written: layouts in numbers, with names of months of many languages, spoken."""

from __future__ import annotations

import re
from datetime import date

from masking.classes import PiiClass, canonical_form
from masking.vault import KnownValue
from masking.word_lists import load_rows

_MONTHS = tuple("|".join(re.escape(name.replace("_", " ")) for name in row) for row in load_rows("date_months"))
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen",
    "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = (
    "", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
    "thirteenth",
    "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth",
)  # fmt: skip
_GAP = r"[\s,-]{1,3}"


def birth_date_pattern(known: KnownValue) -> re.Pattern[str] | None:
    """Compile the layouts of one birth date, None if the value is no date."""
    day = _read_day(known.value)
    if day is None:
        return None
    y, yy, m, d = f"{day.year}", f"['’]?{day.year % 100:02d}", f"0?{day.month}", f"0?{day.day}"
    s = r"\s?[-/.,\s|]\s?"
    month = rf"(?:{_MONTHS[day.month - 1]})\.?"
    nth = rf"0?{day.day}(?:st|nd|rd|th|er|ste|e|º|ª|\.)?"
    of = r"(?:\s(?:of|de|del|di)\s|\sd['’]|[\s,/-]{0,3})"
    layouts = (
        rf"{y}{s}{m}{s}{d}",
        rf"{d}{s}{m}{s}(?:{y}|{yy})",
        rf"{m}{s}{d}{s}(?:{y}|{yy})",
        rf"{yy[5:]}{s}{m}{s}{d}",
        rf"{y}年\s?{m}月\s?{d}日?",
        rf"{y}년\s?{m}월\s?{d}일?",
        *(day.strftime(layout) for layout in ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%d%m%y", "%y%m%d", "%m%d%y")),
        rf"{nth}{of}{month}{of}(?:{y}|{yy})",
        rf"{month}\s?{nth},?[\s,]{{0,3}}(?:{y}|{yy})",
        rf"{y}[\s,/-]{{1,3}}{month}[\s,/-]{{1,3}}{nth}",
        *_spoken(day, month),
    )
    return re.compile(rf"(?<![0-9A-Za-zÀ-ɏ])(?:{'|'.join(layouts)})(?![0-9A-Za-zÀ-ɏ])", re.IGNORECASE)


def _read_day(value: str) -> date | None:
    for text in (canonical_form(PiiClass.BIRTH_DATE, value), value.strip()[:10]):
        try:
            return date.fromisoformat(text)
        except ValueError:
            continue
    match = re.fullmatch(r"\s*(\d{1,2})[/ -](\d{1,2})[/ -](\d{4})\s*", value)
    if match is None:
        return None
    first, second, year = map(int, match.groups())
    for month, day in ((second, first), (first, second)):
        try:
            return date(year, month, day)
        except ValueError:
            continue
    return None


def _spoken(day: date, month: str) -> tuple[str, ...]:
    """Return "the fourth of March nineteen eighty-seven" and its like."""
    nth = rf"(?:{_ordinal(day.day)}|{day.day}(?:st|nd|rd|th)?|{_number(day.day)})"
    year = rf"(?:{'|'.join(_years(day.year))}|{day.year}|['’]?{day.year % 100:02d})"
    return (rf"(?:the\s)?{nth}(?:\sof)?{_GAP}{month}{_GAP}{year}", rf"{month}{_GAP}(?:the\s)?{nth}{_GAP}{year}")


def _number(number: int) -> str:
    if number < 20:
        return _ONES[number]
    return _TENS[number // 10] + (rf"[\s-]{_ONES[number % 10]}" if number % 10 else "")


def _ordinal(number: int) -> str:
    if number <= 20:
        return _ORDINALS[number]
    return "thirtieth" if number == 30 else rf"{_TENS[number // 10]}[\s-]{_ORDINALS[number % 10]}"


def _years(year: int) -> tuple[str, ...]:
    century, rest = divmod(year, 100)
    said = _number(rest) if rest > 9 else rf"(?:oh|o|zero|hundred and)[\s-]{_ONES[rest]}"
    forms = [rf"{_number(century)}[\s-]{said}", said]
    if year >= 2000:
        forms.append("two[\\s-]thousand" + (rf"(?:\sand)?[\s-]{_number(rest)}" if rest else ""))
    if rest == 0:
        forms.append(rf"{_number(century)}[\s-]hundred")
    return tuple(forms)
