"""What the name model reads of a text: long values of a known shape shortened, everything else whole."""

from __future__ import annotations

import re

import pytest

from masking.ner import _shorten

_TOKEN = re.compile(r"\w{1,3}|\S")


def _read(text: str) -> tuple[list[str], list[str]]:
    """Return what is read, and for each token of the text the one whose answer it gets."""
    offsets = [match.span() for match in _TOKEN.finditer(text)]
    tokens = [text[start:end] for start, end in offsets]
    kept, place = _shorten(text, offsets)
    return [tokens[number] for number in kept], [tokens[kept[one]] for one in place]


@pytest.mark.parametrize(
    "value",
    [
        "3f2b8c1e-9a7d-4c55-b0e1-7d2f9a6b1c33", "txn_9a8b7c6d5e4f", "2026-05-11T09:14:22.123Z", "adaeze.obi@mailbox.example.org",
        "DE89 3704 0044 0532 0130 00", "0x742d35cc6634c0532925a3b844bc454e4438f44e",
    ],
)  # fmt: skip
def test_three_tokens_of_a_value_stand_for_all_of_it(value: str) -> None:
    whole = _TOKEN.findall(value)
    read, answers = _read(f"from {value} to Ngozi")
    assert read == ["fro", "m", *whole[:3], "to", "Ngo", "zi"]
    assert answers == ["fro", "m", *whole[:3], *[whole[2]] * (len(whole) - 3), "to", "Ngo", "zi"]


@pytest.mark.parametrize("text", ["acct 31926819 sort 60-16-13", "Ngozi Okonkwo, 0803 123 4567", "12.05.2026 EUR 1,299.00", ""])
def test_bare_numbers_and_words_are_read_whole(text: str) -> None:
    read, answers = _read(text)
    assert read == answers == _TOKEN.findall(text)


def test_two_values_in_a_row_are_two() -> None:
    read, _ = _read("txn_9a8b7c6d5e4f txn_1122334455667788")
    assert read == ["txn", "_9a", "8b7", "txn", "_11", "223"]
