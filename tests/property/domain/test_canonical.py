"""RFC 8785 as the reference implementation writes it, whichever way our own takes; what has no canonical form is refused."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import NotCanonical, canonical_bytes

_MAX = 2**53 - 1
_scalars = st.none() | st.booleans() | st.integers(-_MAX, _MAX) | st.text()
_values: Any = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=6), max_leaves=20
)


@given(st.dictionaries(st.text(), _values, max_size=6) | st.lists(_values, max_size=6))
def test_the_bytes_are_the_reference_implementations(value: Any) -> None:
    try:
        expected = rfc8785.dumps(value)
    except rfc8785.CanonicalizationError:
        with pytest.raises(NotCanonical):
            canonical_bytes(value)
    else:
        assert canonical_bytes(value) == expected


def test_keys_are_sorted_by_utf_16_units() -> None:
    # U+FB33 sorts behind U+1F600 there: its surrogate pair begins with D83D.
    assert canonical_bytes({"\ufb33": 1, "\U0001f600": 2, "a": 3}) == '{"a":3,"\U0001f600":2,"\ufb33":1}'.encode()


class _Word(StrEnum):
    ONE = "one"


def test_what_control_characters_and_subclasses_become() -> None:
    text = "".join(map(chr, range(0x21))) + '"\\\x7f\u2028é\U0001f600'
    assert canonical_bytes({"text": text, "word": _Word.ONE}) == rfc8785.dumps({"text": text, "word": "one"})


@pytest.mark.parametrize(
    "value",
    [1.5, 1.0, float("nan"), 2**53, -(2**53), b"x", {1, 2}, {1: "x"}, {"a": [{"b": 0.1}]}, "\ud800", {"\ud800": 1}, Ellipsis],
    ids=repr,
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical_bytes({"value": value})
