"""How much of the values stayed readable, and which facts were hurt?

A value is leaked when at least half of its letters and digits stay readable. Stricter beside it: any four in a row stay readable
(all of them, where it has fewer). A fact is lost when one of its letters or digits is covered.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bench.masking.labels import LabelledText, Span, ValueLabel

Places = Sequence[tuple[int, int]]
WORDS_FOLDER = Path(__file__).parents[2] / "masking" / "words"
_RUN = 4
_SHORT_WORD = 2


@dataclass(slots=True)
class Tally:
    """Count how many there were and how many of them went wrong, by what they are."""

    seen: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    def count(self, names: Iterable[str], *, wrong: bool) -> None:
        """Count one under each of its names."""
        for name in names:
            self.seen[name] += 1
            self.wrong[name] += int(wrong)

    def percent(self, name: str) -> float | None:
        """Return the share that went wrong, None where there was none."""
        return round(100 * self.wrong[name] / self.seen[name], 2) if self.seen[name] else None


@dataclass(slots=True)
class Score:
    """Hold what came of a part's texts. `errors` has each leaked value and lost fact with its text."""

    values: Tally = field(default_factory=Tally)
    strict: Tally = field(default_factory=Tally)
    facts: Tally = field(default_factory=Tally)
    texts: Tally = field(default_factory=Tally)
    errors: list[dict[str, Any]] = field(default_factory=list)


def score_text(score: Score, text: LabelledText, places: Places) -> None:
    """Add one text and the places that were masked in it."""
    covered = _cover(text.text, places)
    any_leak = False
    for span in text.values:
        label = span.label
        assert isinstance(label, ValueLabel)
        readable = _list_readable(text.text, span, covered)
        leaked = 2 * sum(readable) >= len(readable)
        any_leak = any_leak or leaked
        names: tuple[str, ...] = ("all", label.owner, label.pii_class.value, f"kind {label.kind}", f"genre {text.genre}")
        if label.pii_class.value == "PERSON":
            shown = text.text[span.start : span.end]
            names += (f"group {label.group}", "listed" if is_listed(shown) else "unlisted")
        score.values.count(names, wrong=leaked)
        score.strict.count(("all",), wrong=_has_run(readable))
        if leaked:
            score.errors.append(_error("leaked", text, span, label.kind, owner=label.owner))
    for span in text.facts:
        lost = any(covered[at] and text.text[at].isalnum() for at in range(span.start, span.end))
        score.facts.count(("all", f"kind {span.label.kind}", f"genre {text.genre}"), wrong=lost)
        if lost:
            score.errors.append(_error("lost", text, span, span.label.kind))
    if text.values:
        score.texts.count(("with_values",), wrong=any_leak)
    else:
        score.texts.count(("clean",), wrong=bool(places))


def is_listed(name: str) -> bool:
    """Say whether any word of a name stands in the product's own lists of names: then it is no stranger to it."""
    return not _listed_names().isdisjoint(_fold_words(name))


@cache
def _listed_names() -> frozenset[str]:
    files = (WORDS_FOLDER / name for name in ("given_names.txt", "surnames.txt"))
    lines = (line for file in files for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return frozenset(word for line in lines for word in _fold_words(line))


def _fold_words(text: str) -> list[str]:
    plain = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    return [word for word in re.findall(r"[^\W\d_]+", plain) if len(word) > _SHORT_WORD]


def _cover(text: str, places: Places) -> bytearray:
    covered = bytearray(len(text))
    for start, end in places:
        covered[start:end] = b"\x01" * (end - start)
    return covered


def _list_readable(text: str, span: Span, covered: bytearray) -> list[bool]:
    return [not covered[at] for at in range(span.start, span.end) if text[at].isalnum()]


def _has_run(readable: list[bool]) -> bool:
    longest = run = 0
    for one in readable:
        run = run + 1 if one else 0
        longest = max(longest, run)
    return longest >= min(_RUN, len(readable))


def _error(what: str, text: LabelledText, span: Span, kind: str, *, owner: str = "") -> dict[str, Any]:
    found = {"what": what, "kind": kind, "shown": text.text[span.start : span.end], "genre": text.genre, "country": text.country}
    known = [[pii_class.value, value] for pii_class, value in text.known]
    return found | {"owner": owner, "id": text.text_id, "text": text.text, "known": known}
