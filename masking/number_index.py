"""Does a text hold a number that any customer of the tenant has? Answered from fingerprints: no value is in here.

A fingerprint is 64 bits of a keyed hash, so a hit is a fact and not a guess.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from masking.classes import PiiClass
from masking.keys import KeyProvider
from masking.number_prints import MIN_DIGITS, NUMBERED, QUERIES, fold_email, fold_number, hash_form, is_telling
from masking.vault import Transact

_FROM_DIGIT = re.compile(r"\d[^\W_]*")
_EMAIL = re.compile(r"[\w.+%'-]{1,64}@[\w.-]{3,255}")
_GAP = r"[ \t\r\n\u00a0\u00ad\u2009\u200b-\u200f\u202f\u2010-\u2013\u2060\ufeff\-./(),_]"
_BETWEEN = re.compile(rf"{_GAP}{{1,3}}(?:(?P<word>[^\W\d_]{{1,4}}){_GAP}{{1,3}})?")
_WORD_BEFORE = re.compile(rf"(?<![^\W_])(?P<word>[^\W\d_]{{1,4}}){_GAP}{{1,3}}$")
_WORD_AFTER = re.compile(rf"{_GAP}{{1,3}}(?P<word>[^\W\d_]{{1,2}})(?![^\W_])")
_MAX_BETWEEN = 10
_LETTERS_BEFORE = re.compile(r"[^\W\d_]+(?=\d)")
_LETTERS_AFTER = re.compile(r"(?<=\d)[^\W\d_]+$")
_DIGITS = re.compile(r"\d{8,}")
_DATE = re.compile(r"(?:19|20)\d\d[-/. ]\d{1,2}[-/. ]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ](?:19|20)\d\d")
_MAX_GROUPS = 12
_MAX_WINDOW = 64


@dataclass(frozen=True, slots=True)
class NumberHit:
    """Hold one place where a customer's number stands."""

    start: int
    end: int
    pii_class: PiiClass


@dataclass(frozen=True, slots=True, eq=False)
class NumberIndex:
    """Hold the fingerprints of a tenant's numbers, sorted, and the key that makes them. `version` changes with the set.

    `classes` holds for each print the place of its class in `NUMBERED`.
    """

    tenant_id: str
    version: str
    prints: NDArray[np.uint64] = field(repr=False)
    classes: NDArray[np.uint8] = field(repr=False)
    key: bytes = field(repr=False)

    def find(self, text: str) -> Iterator[NumberHit]:
        """Yield the places, overlaps included."""
        if not len(self.prints):
            return
        candidates = [(hash_form(self.key, form), start, end) for form, start, end in list_candidates(text)]
        if not candidates:
            return
        wanted = np.array([candidate[0] for candidate in candidates], dtype=np.uint64)
        places = np.searchsorted(self.prints, wanted)
        places[places == len(self.prints)] = 0
        for number in np.flatnonzero(self.prints[places] == wanted):
            _, start, end = candidates[number]
            pii_class = NUMBERED[self.classes[places[number]]]
            is_after_plus = pii_class is PiiClass.PHONE and start > 0 and text[start - 1] == "+"
            yield NumberHit(start - 1 if is_after_plus else start, end, pii_class)


class NumberIndexes:
    """Keep one index a tenant, loaded when it is first asked for. Safe in threads."""

    def __init__(self, transact: Transact, keys: KeyProvider) -> None:
        self._transact = transact
        self._keys = keys
        self._lock = Lock()
        self._held: dict[str, NumberIndex] = {}

    def of(self, tenant_id: str) -> NumberIndex:
        """Return the tenant's index. Raises: TenantKeyMissing, psycopg.Error at the first use."""
        held = self._held.get(tenant_id)
        if held is not None:
            return held
        with self._lock:
            held = self._held.get(tenant_id)
            if held is None:
                held = self._held[tenant_id] = self._load(tenant_id)
            return held

    def find_loaded(self, tenant_id: str) -> NumberIndex | None:
        """Return the index if it is loaded, at once and without a look at the database."""
        return self._held.get(tenant_id)

    def refresh(self, tenant_id: str) -> None:
        """Load it anew; until that is done the old one answers. Raises: as `of`."""
        with self._lock:
            self._held[tenant_id] = self._load(tenant_id)

    def forget(self, tenant_id: str) -> None:
        """Drop it; who asks next loads it."""
        with self._lock:
            self._held.pop(tenant_id, None)

    def _load(self, tenant_id: str) -> NumberIndex:
        key = self._keys.tenant_keys(tenant_id).guard
        with self._transact(tenant_id) as conn:
            rows: list[tuple[str, bytes]] = conn.execute(QUERIES["read_prints"]).fetchall()
        return build_index(tenant_id, key, rows)


def build_index(tenant_id: str, key: bytes, rows: Sequence[tuple[str, bytes]]) -> NumberIndex:
    """Sort the prints. Shape of a row: class, its prints as 8 bytes each, big-endian."""
    prints = [np.frombuffer(row[1], dtype=">u8").astype(np.uint64) for row in rows]
    classes = [np.full(len(part), NUMBERED.index(PiiClass(row[0])), np.uint8) for part, row in zip(prints, rows, strict=True)]
    all_prints = np.concatenate([*prints, np.zeros(0, np.uint64)])
    all_classes = np.concatenate([*classes, np.zeros(0, np.uint8)])
    # Where two classes share a print the earlier of NUMBERED comes first, and that one is found.
    order = np.lexsort((all_classes, all_prints))
    all_prints, all_classes = all_prints[order], all_classes[order]
    version = hashlib.sha256(all_prints.tobytes() + all_classes.tobytes()).hexdigest()[:16]
    return NumberIndex(tenant_id, version, all_prints, all_classes, key)


def list_candidates(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each way to read a number in the text: what it is folded, and where it stands."""
    if "@" in text:
        for match in _EMAIL.finditer(text):
            end = match.end() - (len(match[0]) - len(match[0].rstrip(".-'")))
            yield fold_email(text[match.start() : end]), match.start(), end
    for chain in _chains(text):
        for first in range(len(chain)):
            yield from _windows(text, chain, first)
        for start, end in chain:
            if not text[start:end].isdigit():
                # A number glued between words.
                yield from ((part[0], start + part.start(), start + part.end()) for part in _DIGITS.finditer(text[start:end]))


def _chains(text: str) -> Iterator[list[tuple[int, int]]]:
    """Yield runs of letters and digits that may be groups of one number: near each other, with one short word between them."""
    chain: list[tuple[int, int]] = []
    end = 0
    for match in _FROM_DIGIT.finditer(text):
        start = match.start()
        while start > end and text[start - 1].isalnum():
            start -= 1
        between = text[end:start]
        word = _BETWEEN.fullmatch(between) if chain and len(between) <= _MAX_BETWEEN else None
        if word is None:
            if chain:
                yield _with_word_after(text, chain)
            before = _WORD_BEFORE.search(text, max(end, start - _MAX_BETWEEN), start)
            chain = [before.span("word")] if before else []
        elif word["word"]:
            chain.append((end + word.start("word"), end + word.end("word")))
        chain.append((start, match.end()))
        end = match.end()
    if chain:
        yield _with_word_after(text, chain)


def _with_word_after(text: str, chain: list[tuple[int, int]]) -> list[tuple[int, int]]:
    after = _WORD_AFTER.match(text, chain[-1][1])
    return [*chain, after.span("word")] if after else chain


def _windows(text: str, chain: Sequence[tuple[int, int]], first: int) -> Iterator[tuple[str, int, int]]:
    start = chain[first][0]
    for last in range(first, min(first + _MAX_GROUPS, len(chain))):
        end = chain[last][1]
        window = text[start:end]
        if len(window) > _MAX_WINDOW:
            return
        if any(_is_lone(text, chain, place, first, last) for place in (first, last)) or _DATE.fullmatch(window):
            continue
        yield from _variants(window, start)


def _is_lone(text: str, chain: Sequence[tuple[int, int]], place: int, first: int, last: int) -> bool:
    """Say whether a group at the window's edge is a word that is no part of a number."""
    start, end = chain[place]
    return text[start:end].isalpha() and (first == last or text[start:end].islower() or (place == last and end - start > 2))


def _variants(window: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield the window whole, and without letters glued to its ends. Eight digits tell something in one piece only."""
    before = _LETTERS_BEFORE.match(window)
    after = _LETTERS_AFTER.search(window)
    lefts = (0, before.end()) if before else (0,)
    rights = (len(window), after.start()) if after else (len(window),)
    for left in lefts:
        for right in rights:
            written = window[left:right]
            form = fold_number(written)
            if is_telling(form) and (len(form) > MIN_DIGITS or form == written.upper()):
                yield form, start + left, start + right
