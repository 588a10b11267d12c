"""Several finders name places in one text: which of them stand? Pure, and linear in the number of places but for sorting."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from masking.classes import PiiClass

DetectionSource = Literal["literal", "known", "pattern", "field", "model"]
Place = tuple[int, int]
# Nothing else finds people: no check digits say who somebody is.
_GUESSES = frozenset({"model", "pattern"})
_EDGE_LEFT = " \t\r\n,.;:-'’|\"“”"
_EDGE_RIGHT = " \t\r\n,;:-'’|\"“”"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Hold one place that a finder names. `token` is what the record knows it by; a part is one name of several."""

    start: int
    end: int
    pii_class: PiiClass
    score: float
    source: DetectionSource
    token: str | None = None
    is_part: bool = False

    @property
    def length(self) -> int:
        """Return the number of characters."""
        return self.end - self.start


class Places:
    """Hold disjoint places in order, and answer what they leave of another place."""

    def __init__(self, places: Iterable[Place] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(places):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            elif start < end:
                self._starts.append(start)
                self._ends.append(end)

    def __iter__(self) -> Iterator[Place]:
        """Yield them in order."""
        return zip(self._starts, self._ends, strict=True)

    def add(self, start: int, end: int) -> None:
        """Add a place that touches none that is held."""
        at = bisect_left(self._starts, start)
        self._starts.insert(at, start)
        self._ends.insert(at, end)

    def touches(self, start: int, end: int) -> bool:
        """Say whether one of them has a character of this place."""
        at = bisect_right(self._ends, start)
        return at < len(self._starts) and self._starts[at] < end

    def holds(self, start: int, end: int) -> bool:
        """Say whether a place lies within one of them."""
        at = bisect_right(self._starts, start) - 1
        return at >= 0 and end <= self._ends[at]

    def rest_of(self, start: int, end: int) -> Iterator[Place]:
        """Yield what is left of a place outside of them."""
        at = bisect_right(self._ends, start)
        while at < len(self._starts) and self._starts[at] < end:
            if start < self._starts[at]:
                yield start, self._starts[at]
            start = self._ends[at]
            at += 1
        if start < end:
            yield start, end


def cut(candidate: Candidate, places: Places, text: str) -> Iterator[Candidate]:
    """Yield what is left of a candidate outside the places, without separators at its edges; itself if nothing is taken."""
    if not places.touches(candidate.start, candidate.end):
        yield candidate
        return
    for start, end in places.rest_of(candidate.start, candidate.end):
        trimmed = trim(candidate, start, end, text)
        if trimmed is not None:
            yield trimmed


def trim(candidate: Candidate, start: int, end: int, text: str) -> Candidate | None:
    """Return the candidate at another place, without separators at its edges; None if nothing else is there."""
    inner = text[start:end]
    left, right = len(inner) - len(inner.lstrip(_EDGE_LEFT)), len(inner.rstrip(_EDGE_RIGHT))
    return replace(candidate, start=start + left, end=start + right, token=None) if left < right else None


def arbitrate(candidates: Sequence[Candidate], text: str, *, is_worth_it: Callable[[Candidate, str], bool]) -> list[Candidate]:
    """Let the surest win, then the longest; what a loser has outside the winners is still a value, if it is worth it."""
    taken = Places()
    winners: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda one: (-one.score, -one.length, one.start)):
        for part in cut(candidate, taken, text):
            if part is not candidate and not is_worth_it(part, text):
                continue
            taken.add(part.start, part.end)
            winners.append(part)
    return sorted(winners, key=lambda one: one.start)


def without_shared_parts(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Drop a known first or last name where it stands in a longer name: "Marta Jones" is not the customer Marta Kowalska."""
    names = sorted(
        (one for one in candidates if one.source in _GUESSES and one.pii_class is PiiClass.PERSON), key=lambda one: one.start
    )
    starts = [name.start for name in names]
    reach: list[int] = []
    for name in names:
        reach.append(max(name.end, reach[-1] if reach else 0))
    kept = []
    for one in candidates:
        at = bisect_right(starts, one.start) - 1
        if one.is_part and at >= 0 and one.end <= reach[at] and names[at].end >= one.end and names[at].length > one.length:
            continue
        kept.append(one)
    return kept


def join_names(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Make one of guesses at names that overlap: it is one person."""
    joined: list[Candidate] = []
    others: list[Candidate] = []
    for one in sorted(candidates, key=lambda one: (one.start, -one.end)):
        is_guess = one.pii_class is PiiClass.PERSON and one.source in _GUESSES
        if not is_guess:
            others.append(one)
        elif joined and one.start < joined[-1].end:
            last = joined[-1]
            surer = one if one.score > last.score else last
            joined[-1] = replace(surer, start=last.start, end=max(last.end, one.end))
        else:
            joined.append(one)
    return others + joined
