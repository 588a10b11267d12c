"""Which entries of a file are new, which an earlier file brought already, and which stand twice. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.ids import make_id
from ledger.reconciliation.statement import StatementEntry


@dataclass(frozen=True, slots=True)
class NewLine:
    """Hold an entry that is not known yet. `duplicate_of` is the line that has its reference already."""

    line_id: str
    entry: StatementEntry
    content_sha256: str
    occurrence: int
    duplicate_of: str | None


@dataclass(frozen=True, slots=True)
class Recognized:
    """Hold the new lines in the order of the file, and how many entries an earlier file brought already."""

    lines: tuple[NewLine, ...]
    repeated: int


def recognize_entries(
    entries: Sequence[StatementEntry],
    *,
    known_contents: Collection[tuple[str, int]],
    known_references: Mapping[str, str],
    now: datetime,
) -> Recognized:
    """Tell the entries of one account apart.

    The same content as before, as often as before, is a repetition: overlapping and corrected files hold it; it is left out.
    A bank's reference that stands a second time, in this file or with other content than before, is a duplicate. Entries
    without a reference are never duplicates: two equal payments are two payments.

    `known_contents`: content and occurrence of stored lines; `known_references`: reference -> its first line.
    """
    first_of = dict(known_references)
    occurrences = Counter[str]()
    lines: list[NewLine] = []
    repeated = 0
    for entry in entries:
        content = entry.content_sha256()
        occurrences[content] += 1
        if (content, occurrences[content]) in known_contents:
            repeated += 1
            continue
        line_id = make_id("stl", now)
        original = None if entry.entry_reference is None else first_of.setdefault(entry.entry_reference, line_id)
        duplicate_of = None if original == line_id else original
        lines.append(NewLine(line_id, entry, content, occurrences[content], duplicate_of))
    return Recognized(tuple(lines), repeated)
