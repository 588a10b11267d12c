"""What a file repeats, and what it holds twice."""

from __future__ import annotations

from datetime import UTC, date, datetime

from ledger.reconciliation.recognition import Recognized, recognize_entries
from ledger.reconciliation.statement import StatementEntry

NOW = datetime(2026, 3, 3, tzinfo=UTC)


def entry(number: int, amount: int = -500, reference: str | None = "BANK-1") -> StatementEntry:
    return StatementEntry(number, amount, "EUR", date(2026, 3, 2), reference)


def recognize(*entries: StatementEntry, before: Recognized | None = None) -> Recognized:
    lines = before.lines if before else ()
    references: dict[str, str] = {}
    for line in lines:
        if line.entry.entry_reference is not None:
            references.setdefault(line.entry.entry_reference, line.line_id)
    known = {(line.content_sha256, line.occurrence) for line in lines}
    return recognize_entries(entries, known_contents=known, known_references=references, now=NOW)


def test_a_reference_twice_in_one_file_is_a_duplicate() -> None:
    found = recognize(entry(2), entry(3), entry(4, -700))
    first, *others = found.lines
    assert first.duplicate_of is None
    assert [line.duplicate_of for line in others] == [first.line_id, first.line_id]


def test_a_file_that_overlaps_brings_only_what_is_new() -> None:
    before = recognize(entry(2), entry(3, reference="BANK-2"))
    again = recognize(entry(9, reference="BANK-2"), entry(5), entry(6, reference="BANK-3"), before=before)
    assert again.repeated == 2
    assert [line.entry.entry_reference for line in again.lines] == ["BANK-3"]


def test_a_known_reference_with_other_content_is_a_duplicate() -> None:
    before = recognize(entry(2))
    again = recognize(entry(2, -501), before=before)
    assert [line.duplicate_of for line in again.lines] == [before.lines[0].line_id]


def test_a_duplicate_is_told_once() -> None:
    before = recognize(entry(2), entry(3))
    assert recognize(entry(2), entry(3), before=before) == Recognized((), 2)
    third = recognize(entry(2), entry(3), entry(4), before=before)
    assert (third.repeated, len(third.lines)) == (2, 1)


def test_equal_entries_without_a_reference_are_two_payments() -> None:
    before = recognize(entry(2, reference=None), entry(3, reference=None))
    assert [line.duplicate_of for line in before.lines] == [None, None]
    assert [line.occurrence for line in before.lines] == [1, 2]
    assert recognize(entry(2, reference=None), before=before).repeated == 1
