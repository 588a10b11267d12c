"""Words that say what the number beside them is: "account no.", "Kontonummer", "ref". Each word of a text is looked up once."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from masking.classes import PiiClass, fold_key, named_classes
from masking.word_lists import load_rows, load_words

KEPT: Final = "KEPT"
POSTCODE: Final = "POSTCODE"
CODE: Final = "CODE"
_WORD = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"[A-ZÀ-Þ]?[^\W\d_A-ZÀ-Þ]+|[A-ZÀ-Þ]+(?![^\W\d_A-ZÀ-Þ])")
_MAX_WORDS = 5
_MAX_GAP = 2
_SUFFIXES = ("nummern", "nummer", "numbers", "number", "nr", "code")
# Named in a form these are fields; in a sentence they are everyday words.
_FIELD_ONLY = frozenset({
    "user", "contact", "via", "cap", "pass", "key", "clave", "login", "handle", "from_name", "token", "secret", "credential",
    "credentials", "device", "run", "ip", "mac", "card_holder", "ne", "ad", "agency", "mail", "email", "authorization", "senha",
    "birth", "fingerprint", "fin", "telegram", "twitter", "number", "cab", "abi",
})  # fmt: skip
_CLASSES = frozenset(PiiClass) - {
    PiiClass.PERSON, PiiClass.EMAIL, PiiClass.OTHER, PiiClass.LITERAL, PiiClass.USERNAME, PiiClass.ADDRESS, PiiClass.IP,
}  # fmt: skip
_PLAIN_PASSWORDS = frozenset({
    "password", "passwd", "pwd", "passwort", "kennwort", "passphrase", "contrasena", "mot_de_passe", "wachtwoord", "haslo",
})  # fmt: skip
# "id" alone is somebody's only beside such a word; "session id" is nobody's.
_OWN_ID = frozenset({
    "my", "his", "her", "their", "your", "the", "an", "valid", "photo", "government", "national", "personal", "with", "and", "or",
    "on",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Label:
    """Hold one place where a text names what stands beside it: a class, KEPT or POSTCODE."""

    start: int
    end: int
    kind: str


@cache
def _phrases() -> Mapping[str, tuple[tuple[tuple[str, ...], str], ...]]:
    """Return by its first word what a phrase means, the longest phrase first."""
    kinds = {
        name: pii_class.value
        for name, pii_class in named_classes().items()
        if pii_class in _CLASSES and name not in _FIELD_ONLY and name not in _PLAIN_PASSWORDS
    }
    kinds |= {fold_key(name): row[0] for row in load_rows("context_words") for name in row[1:]}
    kinds |= {fold_key(name): KEPT for name in load_words("context_kept")}
    by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for name, kind in kinds.items():
        words = tuple(name.split("_"))
        if words[0].isascii() or len(words) > 1:
            by_first.setdefault(words[0], []).append((words, kind))
    return {first: tuple(sorted(found, key=lambda one: -len(one[0]))) for first, found in by_first.items()}


@cache
def _other_scripts() -> re.Pattern[str]:
    """Match labels of scripts that write words without spaces, or bend them."""
    names = {name.replace("_", " "): kind for name, kind in named_classes().items() if not name.isascii() and kind in _CLASSES}
    return re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))


def list_labels(text: str) -> list[Label]:
    """Return the labels of a text in order. Of overlapping phrases the longest counts."""
    words = _split_words(text)
    phrases = _phrases()
    labels: list[Label] = []
    at = 0
    while at < len(words):
        word, start, _ = words[at]
        found = phrases.get(word) or phrases.get(_stem(word))
        taken = 1
        if found is not None:
            for phrase, kind in found:
                length = len(phrase)
                if (length == 1 and (word != "id" or _is_own_id(text, words, at))) or (
                    length > 1 and _matches(words, at, phrase)
                ):
                    end = words[at + length - 1][2]
                    labels.append(Label(start, end, kind))
                    taken = length
                    break
        at += taken
    if not text.isascii():
        labels += _labels_of_other_scripts(text)
        labels.sort(key=lambda label: label.start)
    return labels


def label_before(labels: Sequence[Label], start: int) -> Label | None:
    """Return the last label that ends before this place."""
    at = bisect_left(labels, start, key=lambda label: label.start)
    while at and labels[at - 1].end > start:
        at -= 1
    return labels[at - 1] if at else None


def label_after(labels: Sequence[Label], end: int) -> Label | None:
    """Return the first label that begins after this place."""
    at = bisect_left(labels, end, key=lambda label: label.start)
    return labels[at] if at < len(labels) else None


def _labels_of_other_scripts(text: str) -> list[Label]:
    kinds = named_classes()
    return (
        [
            Label(match.start(), match.end(), kinds[match[0].replace(" ", "_")].value)
            for match in _other_scripts().finditer(text.casefold())
        ]
        if len(text.casefold()) == len(text)
        else []
    )


def _split_words(text: str) -> list[tuple[str, int, int]]:
    words: list[tuple[str, int, int]] = []
    for match in _WORD.finditer(text):
        raw, start = match[0], match.start()
        if raw.islower() or raw.isupper() or raw[1:].islower():
            words.append((_fold(raw), start, match.end()))
        else:
            words += [(_fold(part[0]), start + part.start(), start + part.end()) for part in _CAMEL.finditer(raw)]
    return words


def _fold(word: str) -> str:
    return word.lower() if word.isascii() else fold_key(word.lower())


def _is_own_id(text: str, words: Sequence[tuple[str, int, int]], at: int) -> bool:
    if not at:
        return True
    before, _, end = words[at - 1]
    return before in _OWN_ID or not set(text[end : words[at][1]]) <= set(" _-.")


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) > len(suffix) + 2:
            return word.removesuffix(suffix).rstrip("s")
    return word.removesuffix("s") if len(word) > 3 else word


def _matches(words: Sequence[tuple[str, int, int]], at: int, phrase: Sequence[str]) -> bool:
    if at + len(phrase) > len(words):
        return False
    for place, wanted in enumerate(phrase[1:], start=1):
        word, start, _ = words[at + place]
        if word != wanted and not (place == len(phrase) - 1 and word == wanted + "s"):
            return False
        if start - words[at + place - 1][2] > _MAX_GAP:
            return False
    return True
