"""How people write a value down: grouped, spoken, spelled, in the order and the letters of their country."""

from __future__ import annotations

import random
import re
import unicodedata
from datetime import date

_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
    "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth",
    "twenty first", "twenty second", "twenty third", "twenty fourth", "twenty fifth", "twenty sixth", "twenty seventh",
    "twenty eighth", "twenty ninth", "thirtieth", "thirty first",
)  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_NATO = (
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima", "mike",
    "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "x-ray", "yankee", "zulu",
)  # fmt: skip


_PLAIN = {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "ß": "ss", "ø": "o", "æ": "ae"}


def speak_digits(value: str, rng: random.Random) -> str:
    """Return a number as it is said: "four one one", "double five", "oh"; letters by themselves."""
    words: list[str] = []
    characters = [one for one in value if one.isalnum()]
    oh = rng.random() < 0.4
    doubles = rng.random() < 0.5
    at = 0
    while at < len(characters):
        one = characters[at]
        word = one.upper() if one.isalpha() else "oh" if oh and one == "0" else _DIGIT_WORDS[int(one)]
        if doubles and at + 1 < len(characters) and characters[at + 1] == one:
            words.append(f"double {word}")
            at += 2
        else:
            words.append(word)
            at += 1
        if rng.random() < 0.06 and at < len(characters):
            words[-1] += ","
    return " ".join(words)


def spell_letters(name: str, rng: random.Random) -> str:
    """Return a name letter by letter: "M-A-R-T-A", "M A R T A", "m as in mike ..."."""
    letters = [one for one in plain_ascii(name) if one.isalpha()]
    if rng.random() < 0.2:
        return ", ".join(f"{one.upper()} for {_NATO[ord(one.lower()) - 97]}" for one in letters)
    return rng.choice(("-", " ", " ", ". ")).join(one.upper() for one in letters)


def speak_email(address: str, rng: random.Random) -> str:
    """Return an address as it is said or written to hide it: "name at mail dot com"."""
    at, dot = rng.choice(((" at ", " dot "), (" at ", " dot "), (" [at] ", " [dot] "), ("(at)", "(dot)"), (" AT ", " DOT ")))
    return address.replace("_", " underscore ").replace("@", at).replace(".", dot)


def group_digits(digits: str, rng: random.Random, size: int = 4) -> str:
    """Return the characters in groups."""
    separator = rng.choice((" ", " ", "-", ".")) if size == 4 else " "
    return separator.join(digits[at : at + size] for at in range(0, len(digits), size))


def write_date(day: date, order: str, rng: random.Random) -> str:
    """Return a date in one of the layouts of a country: numbers, words, ordinals."""
    month, short = MONTHS[day.month - 1], MONTHS[day.month - 1][:3]
    numbers = {"dmy": (f"{day:%d}", f"{day:%m}", f"{day:%Y}"), "mdy": (f"{day:%m}", f"{day:%d}", f"{day:%Y}")}.get(
        order, (f"{day:%Y}", f"{day:%m}", f"{day:%d}")
    )
    layouts = [
        "/".join(numbers), "/".join(numbers), "-".join(numbers), ".".join(numbers), day.isoformat(), day.isoformat(),
        "/".join(part.lstrip("0") for part in numbers), f"{day.day} {month} {day.year}", f"{day.day} {short} {day.year}",
        f"{_ordinal(day.day)} of {month} {day.year}", f"{_ordinal(day.day)} {month} {day.year}", f"{month} {day.day}, {day.year}",
        f"{short} {day.day}, {day.year}", f"{month} {_ordinal(day.day)} {day.year}", f"{day:%d}-{short}-{day:%Y}",
        f"{day:%d}{short.upper()}{day:%y}",
        f"{day.day}/{day.month}/{day:%y}" if order == "dmy" else f"{day.month}/{day.day}/{day:%y}",
    ]  # fmt: skip
    return rng.choice(layouts)


def speak_date(day: date) -> str:
    """Return a date as it is said on the telephone."""
    century, rest = divmod(day.year, 100)
    year = f"{_speak_number(century)} {_speak_number(rest)}" if century < 20 else f"two thousand {_speak_number(rest)}"
    return f"{_ORDINALS[day.day - 1]} of {MONTHS[day.month - 1]} {year.removesuffix(' zero')}"


def _speak_number(number: int) -> str:
    if number < 10:
        return _DIGIT_WORDS[number]
    if number < 20:
        return _TEENS[number - 10]
    return _TENS[number // 10] + (f" {_DIGIT_WORDS[number % 10]}" if number % 10 else "")


def _ordinal(number: int) -> str:
    suffix = "th" if 10 < number < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def plain_ascii(text: str) -> str:
    """Return Latin letters without marks."""
    swapped = "".join(_PLAIN.get(one, one) for one in text)
    return "".join(one for one in unicodedata.normalize("NFD", swapped) if not unicodedata.combining(one))


def handle_of(name: str) -> str:
    """Return a name's letters as in an address or a login."""
    return re.sub(r"[^a-z]+", "", plain_ascii(name).lower())
