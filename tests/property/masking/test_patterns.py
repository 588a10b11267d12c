"""The finders take any text, point inside it, and take time by its length."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masking.classes import PiiClass
from masking.known_values import KnownValueFinder
from masking.patterns import find_patterns
from masking.structure import find_fields
from masking.vault import KnownValue, KnownValues

FINDER = KnownValueFinder(
    KnownValues(
        "cus_one",
        "v1",
        (
            KnownValue(PiiClass.PERSON, "Ana Aaa", "person"),
            KnownValue(PiiClass.ADDRESS, "12 Rose Lane, Leeds, 2000", "address"),
            KnownValue(PiiClass.CARD, "0000000000000000", "card"),
            KnownValue(PiiClass.BIRTH_DATE, "1990-01-01", "birth"),
        ),
    )
)
PIECES = (
    "0", "1 ", "12 ", "1-", "1.", "1/", "(", "[", "<", "{", '"', " ", "\n", "a", "A", "Aa ", "a.", "a@", "@", "a@a.", "-",
    "_", "a0", "A1 ", "+1 ",
    "00", "DE12 ", "0x", "1.1.1.1 ", "a:", "::", "password: ", "account 1 ", "dob 1/1/90 ", "Leeds ", "2000 ", "a=", 'a="',
    '{"a":', "<a>", "</",
    "key: v ", "a,b,c\n", "name,iban,amount\n", "  a  b", "a at b dot ", "Calle A ", "12 Aa Bb Cc ", "eyJ", "T", "bc1",
    "abandon ", "January ",
    "first ", "名", "Ana ", "1,", "€1 ", "\u200b", '"a":[', '\\"', "name: ", "AB 12 34 56 C ",
)  # fmt: skip
_SHORT, _LONG = 3_000, 18_000
# Six times the text; sixteen times the work is more than the noise of a machine, and far less than the square.
_MOST = 16


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=12)), max_size=30).map("".join))
@settings(max_examples=60, deadline=None)
def test_any_text_gives_places_inside_it(text: str) -> None:
    places = [(hit.start, hit.end) for hit in find_patterns(text)]
    places += [(hit.start, hit.end) for hit in FINDER.find(text)]
    fields = [(field.start, field.end) for field in find_fields(text)]
    assert all(0 <= start < end <= len(text) for start, end in places + fields)
    assert all(left[1] <= right[0] for left, right in pairwise(fields))


@pytest.mark.parametrize("piece", PIECES)
def test_work_grows_with_the_text_and_not_with_its_square(piece: str) -> None:
    def measure(length: int) -> float:
        text = (piece * length)[:length]
        best = float("inf")
        for _ in range(2):
            started_s = time.process_time()
            list(find_patterns(text))
            find_fields(text)
            list(FINDER.find(text))
            best = min(best, time.process_time() - started_s)
        return best

    floor_s = 0.004
    assert measure(_LONG) <= _MOST * max(measure(_SHORT), floor_s)
