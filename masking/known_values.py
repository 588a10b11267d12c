"""Find what the record of the open customer already knows, in any of its written forms. Needs no model."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from masking.classes import PiiClass
from masking.folding import FoldedText, fold_text, is_bare_gap, needs_boundary
from masking.vault import KnownValue, KnownValues
from masking.written_addresses import address_needles
from masking.written_dates import birth_date_pattern
from masking.written_forms import GapRule, Needle, list_needles

_NUMBER_SEPARATORS = frozenset(" -./()[]_,:|\n\r\u00a0\u2009\u202f\u2010\u2011\u2012\u2013\t·•'’")
# So many characters in a row are no chance, whatever they are glued to.
_UNMISTAKABLE_LENGTH = 12
_UNMISTAKABLE_NAME = 8
_MAX_GAP: Mapping[GapRule, int] = {"name": 4, "number": 4, "words": 8}
_HEAD = 3
_COMPANY_REACH = 48
_NEXT_DOOR = 3
_PREFIX = re.compile(r"(?:\+|\(\+|00|011)[ (]?\d{0,3}[ .)(-]{0,2}0?\)?[ .-]?$")
_ENDINGS = frozenset(
    [
        "s",
        "ego",
        "emu",
        "owi",
        "em",
        "iem",
        "lta",
        "lle",
        "ssa",
        "in",
        "nin",
        "nın",
        "nun",
        "om",
        "ova",
        "у",
        "а",
        "ом",
        "ым",
        "е",
        "ой",
        "ою",
    ]
)
_NO_ENDING_BELOW = 5
_VERB_AFTER = re.compile(
    r"\W{1,3}(?:i|you|we|he|she|they|it|be|not|the|this|that|these|a|an|my|your|our|as|have|has|also|period|of|and|or|"
    r"to|for|is|are|was)\b",
    re.IGNORECASE,
)
_DATE_AROUND = re.compile(
    r"(?:\d|\b(?:in|since|until|by|of|this|last|next|early|late|mid|from|on|for|every|before|after))\W{0,2}$", re.IGNORECASE
)
_SENTENCE_START = re.compile(r"(?:^|[.!?:\n])\s*$")


@dataclass(frozen=True, slots=True)
class KnownHit:
    """Hold one place where a known value stands. `is_part` is one name of several, which a third party may share."""

    start: int
    end: int
    known: KnownValue
    is_part: bool


class KnownValueFinder:
    """Look for one subject's values. Built once for a version of the record."""

    def __init__(self, known_values: KnownValues) -> None:
        needles: dict[str, Needle] = {}
        for value in known_values.values:
            listed = address_needles(value) if value.pii_class is PiiClass.ADDRESS else list_needles(value)
            for needle in listed:
                held = needles.get(needle.folded)
                # Whole forms win over parts where both fold alike; of two alike the first.
                if needle.folded and (held is None or _rank(needle) < _rank(held)):
                    needles[needle.folded] = needle
        self._by_head: dict[str, list[Needle]] = {}
        self._short = [needle for needle in needles.values() if len(needle.folded) < _HEAD]
        for needle in needles.values():
            if len(needle.folded) >= _HEAD:
                self._by_head.setdefault(needle.folded[:_HEAD], []).append(needle)
        dates = [value for value in known_values.values if value.pii_class is PiiClass.BIRTH_DATE]
        self._dates = tuple((pattern, value) for value in dates if (pattern := birth_date_pattern(value)))

    def find(self, text: str, *, with_parts: bool = True) -> Iterator[KnownHit]:
        """Yield the places, overlaps included. Without parts: whole values only."""
        folded = fold_text(text)
        alone: list[KnownHit] = []
        shy: list[KnownHit] = []
        for needle, at in self._list_places(folded.characters):
            if needle.is_part and not with_parts:
                continue
            span = _span_of(text, folded, needle, at)
            if span is not None:
                (shy if needle.needs_company else alone).append(KnownHit(*span, needle.known, needle.is_part))
        for pattern, value in self._dates:
            alone += [KnownHit(match.start(), match.end(), value, is_part=False) for match in pattern.finditer(text)]
        yield from alone
        if shy:
            yield from _in_company(shy, alone)

    def _list_places(self, characters: str) -> Iterator[tuple[Needle, int]]:
        by_head = self._by_head
        for at in range(len(characters) - _HEAD + 1):
            found = by_head.get(characters[at : at + _HEAD])
            if found is not None:
                for needle in found:
                    if characters.startswith(needle.folded, at):
                        yield needle, at
        for needle in self._short:
            at = characters.find(needle.folded)
            while at >= 0:
                yield needle, at
                at = characters.find(needle.folded, at + 1)


def _rank(needle: Needle) -> tuple[bool, bool, bool, bool]:
    return needle.needs_company, needle.all_capitals, needle.is_part, needle.needs_capital


def _in_company(shy: Sequence[KnownHit], sure: Sequence[KnownHit]) -> Iterator[KnownHit]:
    """Yield the towns and short postcodes that stand near a surer piece of the same address, or right beside each other."""
    firm: dict[str, list[int]] = {}
    for hit in sure:
        if hit.known.pii_class is PiiClass.ADDRESS:
            firm.setdefault(hit.known.value, []).extend((hit.start, hit.end))
    for places in firm.values():
        places.sort()
    for number, hit in enumerate(shy):
        places = firm.get(hit.known.value, [])
        at = bisect_left(places, hit.start - _COMPANY_REACH)
        near = at < len(places) and places[at] <= hit.end + _COMPANY_REACH
        beside = (*shy[max(0, number - 3) : number], *shy[number + 1 : number + 4])
        if near or any(other.known is hit.known and _is_next_door(hit, other) for other in beside):
            yield hit


def _is_next_door(one: KnownHit, other: KnownHit) -> bool:
    return 0 < max(other.start - one.end, one.start - other.end) <= _NEXT_DOOR


def _span_of(text: str, folded: FoldedText, needle: Needle, at: int) -> tuple[int, int] | None:
    """Return the place in the original if what stands between the characters is only separators, None if it is chance."""
    places = folded.places[at : at + len(needle.folded)]
    start, end = places[0], places[-1] + 1
    while end < len(text) and is_bare_gap(text[end]):
        end += 1
    if not _starts_clear(text, start, needle):
        return None
    ending = _end_of(text, end, needle)
    if ending is None:
        return None
    if needle.needs_capital and not _is_meant(text, start, end, needle):
        return None
    if end - start > len(needle.folded) and not _gaps_allowed(text, places, needle):
        return None
    if needle.known.pii_class is PiiClass.PHONE:
        prefix = _PREFIX.search(text, max(0, start - 10), start)
        start = prefix.start() if prefix else start
    return start, ending


def _starts_clear(text: str, start: int, needle: Needle) -> bool:
    if start == 0 or _is_unmistakable(needle):
        return True
    beside, own = text[start - 1], text[start]
    if needle.gap_rule == "number" and own.isdigit():
        return not beside.isdigit() or (
            needle.known.pii_class is PiiClass.PHONE and _PREFIX.search(text, max(0, start - 10), start) is not None
        )
    if own.isupper() and beside.islower() and len(needle.folded) > _HEAD:
        return True  # camel case: "paymentKowalska"
    return not (needs_boundary(beside) and needs_boundary(own)) or _is_glued_script(beside)


def _end_of(text: str, end: int, needle: Needle) -> int | None:
    """Return where the value ends: behind an ending that its language hangs on to names; None in the middle of another word."""
    if end >= len(text) or (_is_unmistakable(needle) and not text[end].isalpha()):
        return end
    beside, own = text[end], text[end - 1]
    if needle.gap_rule == "number" and own.isdigit():
        return None if beside.isdigit() and not _is_unmistakable(needle) else end
    if not (needs_boundary(beside) and needs_boundary(own)) or _is_glued_script(beside):
        return end
    if beside.isdigit() and own.isalpha():
        return end if len(needle.folded) >= _NO_ENDING_BELOW else None
    if beside.isupper() and own.islower() and len(needle.folded) > _HEAD:
        return end  # camel case
    if needle.known.pii_class is PiiClass.PERSON and len(needle.folded) >= _NO_ENDING_BELOW:
        after = re.match(r"[^\W\d_]{1,4}", text[end : end + 5])
        rest = after[0].casefold() if after else ""
        followed = text[end + len(rest) : end + len(rest) + 1]
        if (
            rest in _ENDINGS
            and not followed.isalnum()
            and (text[end - 1].islower() or rest.isupper())
            and (len(needle.folded) > _NO_ENDING_BELOW or not rest.isascii())
        ):
            return end + len(rest)
    return end if _is_unmistakable(needle) else None


def _is_unmistakable(needle: Needle) -> bool:
    return not needle.is_part and len(needle.folded) >= _UNMISTAKABLE_LENGTH


def _is_glued_script(beside: str) -> bool:
    """Say whether this letter's script hangs particles on to a name without a space: Hangul, Hebrew, Arabic, kana."""
    return (
        "\uac00" <= beside <= "\ud7af"
        or "\u0590" <= beside <= "\u06ff"
        or "\u3040" <= beside <= "\u30ff"
        or "\u0900" <= beside <= "\u0dff"
    )


def _is_meant(text: str, start: int, end: int, needle: Needle) -> bool:
    """Say whether a word that is also an everyday word stands for the name: with a capital, and not because a sentence begins."""
    if not text[start].isupper():
        return False
    if needle.all_capitals:
        return (
            text[start:end].isupper()
            and (start == 0 or text[start - 1] not in "-/&_")
            and text[end : end + 1] not in ("-", "/", "&", "_")
        )
    if text[start:end].isupper() and end - start > 1 and text[max(0, start - 12) : start].isupper():
        return True
    if _VERB_AFTER.match(text, end) and _SENTENCE_START.search(text, max(0, start - 12), start):
        return False
    is_month = needle.folded in _MONTH_NAMES
    return not (
        is_month and (_DATE_AROUND.search(text, max(0, start - 12), start) or re.match(r"\W{0,2}\d", text[end : end + 3]))
    )


_MONTH_NAMES = frozenset(
    [
        "january",
        "jan",
        "april",
        "may",
        "june",
        "july",
        "august",
        "march",
        "mar",
        "mai",
        "juni",
        "abril",
        "julio",
        "augusto",
        "avril",
    ]
)


def _gaps_allowed(text: str, places: Sequence[int], needle: Needle) -> bool:
    gaps = [text[left + 1 : right] for left, right in pairwise(places)]
    gaps = ["" if is_bare_gap(gap) else gap for gap in gaps]
    if any(len(gap) > _MAX_GAP[needle.gap_rule] for gap in gaps):
        return False
    if needle.gap_rule == "number":
        return all(set(gap) <= _NUMBER_SEPARATORS for gap in gaps)
    if any(gap.count("\n") > 1 for gap in gaps):
        return False
    between_words = [
        not gap or place in needle.joints or _is_camel(text, places, place) for place, gap in enumerate(gaps, start=1)
    ]
    spelled_out = len(gaps) >= 2 and all(gaps)
    return all(between_words) or (spelled_out and needle.gap_rule == "name")


def _is_camel(text: str, places: Sequence[int], place: int) -> bool:
    """Say whether a hyphen at the end of a line parts the word here."""
    return text[places[place - 1] + 1 : places[place]] in ("-\n", "\u00ad", "-\r\n")
