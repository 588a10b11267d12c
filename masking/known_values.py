"""Find what the record of the open customer already knows, in any of its written forms. Needs no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from masking.classes import PiiClass
from masking.folding import FoldedText, fold_text, is_bare_gap, needs_boundary
from masking.vault import KnownValue, KnownValues
from masking.written_forms import GapRule, Needle, birth_date_pattern, list_needles

_NUMBER_SEPARATORS = frozenset(" -./()[]_,:\u00a0\u2009\u202f\u2010\u2011\u2012\u2013\t")
# So many characters in a row are no chance, whatever they are glued to.
_UNMISTAKABLE_LENGTH = 12
_MAX_GAP: dict[GapRule, int] = {"name": 4, "number": 3, "words": 6}


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
        needles = {needle.folded: needle for value in known_values.values for needle in reversed(list(list_needles(value)))}
        # Whole forms win over parts where both fold alike.
        needles |= {
            needle.folded: needle for value in known_values.values for needle in list_needles(value) if not needle.is_part
        }
        self._needles = tuple(needles.values())
        dates = [value for value in known_values.values if value.pii_class is PiiClass.BIRTH_DATE]
        self._dates = tuple((pattern, value) for value in dates if (pattern := birth_date_pattern(value)))

    def find(self, text: str, *, with_parts: bool = True) -> Iterator[KnownHit]:
        """Yield the places, overlaps included. Without parts: whole values only."""
        folded = fold_text(text)
        for needle in self._needles:
            if needle.is_part and not with_parts:
                continue
            at = folded.characters.find(needle.folded)
            while at >= 0:
                span = _span_of(text, folded, needle, at)
                if span is not None:
                    yield KnownHit(*span, needle.known, needle.is_part)
                at = folded.characters.find(needle.folded, at + 1)
        for pattern, value in self._dates:
            for match in pattern.finditer(text):
                yield KnownHit(match.start(), match.end(), value, is_part=False)


def _span_of(text: str, folded: FoldedText, needle: Needle, at: int) -> tuple[int, int] | None:
    """Return the place in the original if what stands between the characters is only separators, None if it is chance."""
    places = folded.places[at : at + len(needle.folded)]
    start, end = places[0], places[-1] + 1
    while end < len(text) and is_bare_gap(text[end]):
        end += 1
    if not (_is_clear(text, start - 1, start, needle) and _is_clear(text, end, end - 1, needle)):
        return None
    if needle.needs_capital and not text[start].isupper():
        return None
    if end - start > len(needle.folded) and not _gaps_allowed(text, places, needle):
        return None
    if start and text[start - 1] == "+" and needle.known.pii_class is PiiClass.PHONE:
        start -= 1
    return start, end


def _is_clear(text: str, neighbour: int, edge: int, needle: Needle) -> bool:
    if not 0 <= neighbour < len(text):
        return True
    if not needle.is_part and len(needle.folded) >= _UNMISTAKABLE_LENGTH:
        return True
    beside, own = text[neighbour], text[edge]
    if needle.gap_rule == "number" and own.isdigit():
        return not beside.isdigit()
    return not (needs_boundary(beside) and needs_boundary(own))


def _gaps_allowed(text: str, places: Sequence[int], needle: Needle) -> bool:
    gaps = [text[left + 1 : right] for left, right in pairwise(places)]
    gaps = ["" if is_bare_gap(gap) else gap for gap in gaps]
    if any(len(gap) > _MAX_GAP[needle.gap_rule] for gap in gaps):
        return False
    if needle.gap_rule == "number":
        return all(set(gap) <= _NUMBER_SEPARATORS for gap in gaps)
    between_words = [not gap or place in needle.joints for place, gap in enumerate(gaps, start=1)]
    spelled_out = len(gaps) >= 3 and all(gaps)
    return all(between_words) or (spelled_out and needle.gap_rule == "name")
