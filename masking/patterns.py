"""Regulated values that their own shape, check digits or a word beside them give away. Pure and cheap to import."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from masking.classes import PiiClass
from masking.phones import find_phones
from masking.validators import (
    IBAN_LENGTHS,
    Validator,
    alphanumeric_of,
    has_digits,
    is_aadhaar,
    is_aba_routing,
    is_cpf,
    is_iban,
    is_ip_address,
    is_luhn,
    is_spanish_id,
    is_us_ssn,
)
from masking.word_lists import load_alternatives

CHECKED_SCORE = 0.95
"""Own check digits or an unmistakable shape."""
CONTEXT_SCORE = 0.85
"""Plausible shape and a word beside it that names the class."""


@dataclass(frozen=True, slots=True)
class PatternHit:
    """Hold one value found in a text."""

    start: int
    end: int
    pii_class: PiiClass
    score: float


@dataclass(frozen=True, slots=True)
class Rule:
    """Hold one way to find a class. The value is the group `v` of `shape`, or the whole match."""

    pii_class: PiiClass
    shape: re.Pattern[str]
    validate: Validator | None = None
    score: float = CHECKED_SCORE


def _named(words: str, value: str) -> re.Pattern[str]:
    """Compile: one of the words, at most a few connecting words, then the value."""
    link = r"(?:\s*(?:number|numbers|no\.?|nr\.?|num|id|code|is|are|was|ending|of|:|=|#|-|\"|')){0,4}\s*"
    return re.compile(rf"(?<![^\W_])(?:{words})(?![^\W\d_]){link}(?P<v>{value})(?![^\W_])", re.IGNORECASE)


def _shape(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W])(?P<v>{pattern})(?![^\W_])", re.IGNORECASE)


_MONTH = (
    r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]|ene|abr|ago|set|out|dic|f[eé]v|avr|ao[uû]|d[eé]c|gen|giu|lug|ott)"
    r"[^\W\d_]{0,8}\.?"
)
_DATE = (
    rf"(?:\d{{4}}[-/. ]\d{{1,2}}[-/. ]\d{{1,2}}|\d{{1,2}}[-/. ]\d{{1,2}}[-/. ](?:\d{{4}}|\d{{2}})|\d{{8}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.)?[\s-]+(?:of\s+|de\s+)?{_MONTH}(?:\s+de)?[\s,-]+\d{{2,4}}"
    rf"|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{2,4}})"
)
_BIRTH = load_alternatives("context_birth")
_ACCOUNT = load_alternatives("context_account")
_NATIONAL = load_alternatives("context_national_id")
_SECRET_WORD = load_alternatives("context_secret")
_CARD_WORD = load_alternatives("context_card")
# Groups of a written number hold digits, so that the words after it stay out.
_NUMBER_LIKE = r"(?:[A-Z]{1,6}[ .\-/]?)?\d[A-Z0-9]{0,17}(?:[ .\-/]\d[A-Z0-9]{0,12}|-[A-Z0-9]{1,2}){0,5}"
_IBAN_LIKE = r"[A-Z]{2}\d{2}[ \-]?[A-Z0-9]{4}(?:[ \-]?(?=[A-Z]{0,3}\d)[A-Z0-9]{1,4}){2,7}"
_IBAN_COUNTRY = "|".join(sorted(IBAN_LENGTHS))

RULES: tuple[Rule, ...] = (
    Rule(PiiClass.CARD, re.compile(r"(?<![\w.,])(?P<v>\d(?:[ .\-\u00a0]?\d){11,18})(?![^\W_])(?![.,]\d)"), is_luhn),
    Rule(PiiClass.CARD, _named(_CARD_WORD, r"\d(?:[ .\-]?\d){12,18}"), has_digits(13), CONTEXT_SCORE),
    Rule(PiiClass.IBAN, _named("iban", _IBAN_LIKE), has_digits(6), CONTEXT_SCORE),
    Rule(
        PiiClass.EMAIL,
        re.compile(r"(?<![\w.+%-])(?P<v>[\w.+%'-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}[^\W\d_]{2,24})(?![^\W_])"),
    ),
    Rule(
        PiiClass.EMAIL,
        _shape(r"[\w.+-]{2,40}\s*(?:\(at\)|\[at\]|\sat\s)\s*[\w-]{2,40}(?:\s*(?:\(dot\)|\[dot\]|\sdot\s)\s*[\w-]{2,20}){1,3}"),
    ),
    Rule(PiiClass.ACCOUNT, _named(_ACCOUNT, r"\d(?:[ \-]?\d){5,17}"), has_digits(6), CONTEXT_SCORE),
    Rule(
        PiiClass.ROUTING, _named("sort code|sort-code|sortcode|bankleitzahl|blz|clearing", r"\d{2}[- ]?\d{2}[- ]?\d{2}(?:\d{2})?")
    ),
    Rule(PiiClass.ROUTING, _named("bsb|transit|institution", r"\d{3}[- ]?\d{3}|\d{5}-\d{3}")),
    Rule(PiiClass.ROUTING, _named("routing|aba|rtn|ach", r"\d{9}"), is_aba_routing),
    Rule(PiiClass.ROUTING, re.compile(r"(?<![^\W])(?P<v>[A-Z]{4}0[A-Z0-9]{6})(?![^\W_])"), has_digits(3)),
    Rule(PiiClass.NATIONAL_ID, _shape(r"\d{3}-\d{2}-\d{4}"), is_us_ssn),
    Rule(
        PiiClass.NATIONAL_ID,
        _shape(r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\s?\d{2}\s?\d{2}\s?\d{2}\s?[A-D]"),
    ),
    Rule(PiiClass.NATIONAL_ID, _shape(r"\d{3}\.\d{3}\.\d{3}-\d{2}"), is_cpf),
    Rule(PiiClass.NATIONAL_ID, _shape(r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]")),
    Rule(PiiClass.NATIONAL_ID, _shape(r"[XYZ]?-?\d{7,8}-?[A-Z]"), is_spanish_id),
    Rule(PiiClass.NATIONAL_ID, re.compile(r"(?<![^\W])(?P<v>[A-Z]{3}[PCHFATBLJG][A-Z]\d{4}[A-Z])(?![^\W_])")),
    Rule(PiiClass.NATIONAL_ID, _shape(r"\d{4} \d{4} \d{4}"), is_aadhaar),
    Rule(PiiClass.NATIONAL_ID, _named(_NATIONAL, _NUMBER_LIKE), has_digits(5), CONTEXT_SCORE),
    Rule(
        PiiClass.PASSPORT,
        _named(r"passport|reisepass|passeport|pasaporte|passaporte?", r"[A-Z0-9]{6,10}"),
        has_digits(4),
        CONTEXT_SCORE,
    ),
    Rule(
        PiiClass.LICENSE,
        _named(
            r"driv(?:er'?s?|ing) licen[cs]e|dl|f[uü]hrerschein|permis(?: de conduire)?|licencia",
            _NUMBER_LIKE,
        ),
        has_digits(4),
        CONTEXT_SCORE,
    ),
    Rule(PiiClass.BIRTH_DATE, _named(_BIRTH, _DATE)),
    Rule(PiiClass.IP, re.compile(r"(?<![\w.])(?P<v>(?:\d{1,3}\.){3}\d{1,3})(?![^\W_])(?!\.\d)"), is_ip_address),
    Rule(
        PiiClass.IP, re.compile(r"(?<![\w:])(?P<v>(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{1,4})(?![\w:])", re.IGNORECASE), is_ip_address
    ),
    Rule(PiiClass.DEVICE, _shape(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")),
    Rule(PiiClass.DEVICE, _shape(r"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}")),
    Rule(PiiClass.DEVICE, _named("imei", r"\d{15}"), is_luhn),
    Rule(PiiClass.SECRET, _named(_SECRET_WORD, r"\d{3,8}"), None, CHECKED_SCORE),
    Rule(PiiClass.SECRET, _named("password|passwort|passcode|contrase[nñ]a", r"(?=\S*\d)\S{6,64}"), None, CHECKED_SCORE),
    Rule(PiiClass.ADDRESS, re.compile(r"(?<![^\W])(?P<v>[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2})(?![^\W_])")),
)
_IBAN_HEAD = re.compile(rf"(?<![^\W_])(?:{_IBAN_COUNTRY})[ \-]?\d[ ]?\d", re.IGNORECASE)


def find_patterns(
    text: str, *, regions: tuple[str, ...] = (), classes: frozenset[PiiClass] | None = None
) -> Iterator[PatternHit]:
    """Yield what the rules find, overlaps included. `regions` are ISO country codes for phone numbers without a prefix.

    `classes` narrows the search; None is all.
    """
    for rule in RULES:
        if classes is None or rule.pii_class in classes:
            yield from _apply(rule, text)
    if classes is None or PiiClass.IBAN in classes:
        yield from _find_ibans(text)
    if classes is None or PiiClass.PHONE in classes:
        for start, end, is_certain in find_phones(text, regions=regions):
            yield PatternHit(start, end, PiiClass.PHONE, CHECKED_SCORE if is_certain else CONTEXT_SCORE)


def _apply(rule: Rule, text: str) -> Iterator[PatternHit]:
    for match in rule.shape.finditer(text):
        if rule.validate is None or rule.validate(match["v"]):
            yield PatternHit(match.start("v"), match.end("v"), rule.pii_class, rule.score)


def _find_ibans(text: str) -> Iterator[PatternHit]:
    """Read as many characters as the country's IBAN has: what follows may be a word."""
    for head in _IBAN_HEAD.finditer(text):
        wanted = IBAN_LENGTHS[head[0][:2].upper()]
        end, seen = head.start(), 0
        while end < len(text) and seen < wanted and (text[end].isalnum() or text[end] in " -.\u00a0"):
            seen += text[end].isalnum()
            end += 1
        candidate = text[head.start() : end]
        if seen == wanted and is_iban(candidate) and alphanumeric_of(candidate).isascii():
            yield PatternHit(head.start(), end, PiiClass.IBAN, CHECKED_SCORE)
