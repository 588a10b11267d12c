"""What of a field's content is the value that its key names? A form also says "n/a", "see below", "12345678 (savings)"."""

from __future__ import annotations

import re

from masking.classes import PiiClass
from masking.place_rules import DATE
from masking.word_lists import load_words

_EDGES = " \t\r\n\"'“”`*_.,;:|<>[]{}（）"
_NOTHING = frozenset(word.replace("_", " ") for word in load_words("field_empty"))
_LONGEST_FACT = 60
_FACT_ENDS = re.compile(r", |[;(]|\s-\s")
_REFERENCES = ("ref", "_id", "number", "mandate", "trn", "message", "end_to_end")
_NUMBER_RUN = re.compile(
    r"(?=[^\d\n]{0,6}\d)[0-9A-Za-z+(][0-9A-Za-z]*(?:[ .\-/()\u00a0–]{1,2}[0-9A-Za-z]*\d[0-9A-Za-z]*\)?|"
    r"[-/][0-9A-Za-z]+| ?\([0-9A]\)|[ ][A-Z](?![\w]))*"
)
_WORDS = re.compile(r"[^\W_]+")
_PERSON_STOP = re.compile(
    r"\s[(/|–—-]\s?|\s\(|\s?[(\[<,;]\s?(?=[^\W\d_]*\d|[\w.+-]+@|\+|\()|\s(?=[\w.+-]+@)|\s(?=\+?\d)|,\s(?=(?:dob|born|"
    r"tel|phone|email|id|acc)\b)",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[\w.+%'-]{1,64}@[\w.-]{2,80}|[\w.+-]{2,40}\s?[\[({]?at[\])}]?\s?[\w. \[\](){}-]{4,80}", re.IGNORECASE)
_SECRET = re.compile(r"\S{3,2000}")
_HANDLE = re.compile(r"[@$]?[\w.+@\\-]{2,80}")
_IP = re.compile(r"[0-9a-fA-F:.]{3,45}")
_PROSE = frozenset(
    [
        "please",
        "see",
        "as",
        "the",
        "on",
        "is",
        "not",
        "to",
        "change",
        "changed",
        "was",
        "are",
        "i",
        "my",
        "your",
        "we",
        "you",
        "it",
        "in",
        "at",
        "for",
        "with",
        "and",
        "or",
        "if",
        "when",
        "what",
        "which",
        "this",
        "that",
        "these",
        "those",
        "no",
        "yes",
        "sent",
        "update",
        "updated",
        "wrong",
        "correct",
        "incorrect",
        "missing",
        "required",
        "does",
        "do",
        "did",
        "has",
        "have",
        "had",
        "can",
        "could",
        "will",
        "would",
        "should",
        "must",
        "may",
        "via",
        "by",
        "from",
        "bitte",
        "siehe",
        "wie",
        "der",
        "die",
        "das",
        "ist",
        "nicht",
        "por",
        "favor",
        "el",
        "la",
        "es",
        "no",
        "voir",
        "le",
        "est",
        "ne",
    ]
)
_PROSE_WORDS = 7
_MAX_NUMBER_TEXT = 60
_MAX_ADDRESS = 220
_MAX_NAME = 90
_LONGEST_CODE = 12
_MIN_DIGITS = {
    PiiClass.CARD: 8, PiiClass.ACCOUNT: 4, PiiClass.IBAN: 6, PiiClass.ROUTING: 3, PiiClass.NATIONAL_ID: 4,
    PiiClass.PASSPORT: 2, PiiClass.LICENSE: 2,
    PiiClass.PHONE: 6, PiiClass.CUSTOMER_ID: 2, PiiClass.DEVICE: 1, PiiClass.WALLET: 2,
}  # fmt: skip


def trim_value(text: str, start: int, end: int, pii_class: PiiClass) -> tuple[int, int] | None:
    """Return the place of the value itself, None if what stands there can be none of the class."""
    start, end = _strip(text, start, end)
    content = text[start:end]
    if not content or content.casefold() in _NOTHING or not any(map(str.isalnum, content)) or content.startswith("<"):
        return None
    match pii_class:
        case PiiClass.PERSON:
            return _trim_person(text, start, end)
        case PiiClass.EMAIL:
            return _first(_EMAIL, text, start, end)
        case PiiClass.ADDRESS:
            return _trim_address(text, start, end)
        case PiiClass.BIRTH_DATE:
            return _first(DATE, text, start, end)
        case PiiClass.SECRET:
            return _trim_secret(text, start, end)
        case PiiClass.USERNAME:
            return _whole(_HANDLE, text, start, end)
        case PiiClass.IP:
            return _first(_IP, text, start, end) if any(mark in content for mark in ".:") else None
        case _:
            return _trim_number(text, start, end, pii_class)


def trim_fact(text: str, start: int, end: int, key: str) -> tuple[int, int] | None:
    """Return the place of a fact under a kept key, None if it is too long for one. A reference in words may hold a name."""
    stop = _FACT_ENDS.search(text, start, end)
    start, end = _strip(text, start, stop.start() if stop else end)
    content = text[start:end]
    if not content or len(content) > _LONGEST_FACT or (" " in content and any(word in key for word in _REFERENCES)):
        return None
    return start, end


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start] in _EDGES:
        start += 1
    while start < end and text[end - 1] in _EDGES:
        end -= 1
    return start, end


def _first(shape: re.Pattern[str], text: str, start: int, end: int) -> tuple[int, int] | None:
    match = shape.search(text, start, end)
    return _strip(text, *match.span()) if match else None


def _whole(shape: re.Pattern[str], text: str, start: int, end: int) -> tuple[int, int] | None:
    match = shape.match(text, start, end)
    if match is None or (match.end() < end and text[match.end()].isalnum()):
        return None
    rest = text[match.end() : end].strip()
    return match.span() if len(rest.split()) <= 2 or rest[:1] in "(,;|/-" else None


def _trim_person(text: str, start: int, end: int) -> tuple[int, int] | None:
    stop = _PERSON_STOP.search(text, start, end)
    start, end = _strip(text, start, stop.start() if stop else end)
    content = text[start:end]
    words = content.split()
    if not words or len(words) > _PROSE_WORDS or len(content) > _MAX_NAME or any(map(str.isdigit, content)):
        return None
    if not any(map(str.isalpha, content)) or content.casefold() in _NOTHING or words[0].casefold().strip(".,") in _PROSE:
        return None
    # A sentence, not a name: several words, and the second of them and the last without a capital.
    small = [word for word in words[1:] if word[0].islower() and word.isascii() and len(word) > 3]
    if len(words) > 2 and words[0][0].isupper() and len(small) * 2 > len(words) - 1:
        return None
    return start, end


def _trim_address(text: str, start: int, end: int) -> tuple[int, int] | None:
    content = text[start:end]
    if len(content) > _MAX_ADDRESS or ("@" in content and " " not in content):
        return None
    has_digit = any(map(str.isdigit, content))
    if not has_digit and (len(content.split()) > 4 or not content[0].isupper()):
        return None
    return start, end


def _trim_secret(text: str, start: int, end: int) -> tuple[int, int] | None:
    content = text[start:end]
    if len(content) <= _LONGEST_CODE and any(map(str.isdigit, content)):
        return start, end
    match = _SECRET.match(text, start, end)
    if match is None or len(content.split()) > 3:
        return None
    return _strip(text, start, end if content.casefold().startswith(("bearer ", "basic ")) else match.end())


def _trim_number(text: str, start: int, end: int, pii_class: PiiClass) -> tuple[int, int] | None:
    match = _NUMBER_RUN.search(text, start, min(end, start + _MAX_NUMBER_TEXT))
    if match is None or match.start() - start > 24:
        return None
    low, high = _strip(text, *match.span())
    digits = sum(map(str.isdigit, text[low:high]))
    if digits < _MIN_DIGITS.get(pii_class, 3) and not (pii_class is PiiClass.PASSPORT and high - low >= 6):
        return None
    if "*" in text[max(start, low - 2) : low] or "•" in text[max(start, low - 2) : low]:
        return None
    return low, high
