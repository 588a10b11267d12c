"""Any change of a receipt file is refused: every byte, and whole edits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.receipts.paper_log import SIGNER, load_verifier, make_file, make_records

_VERIFIER = load_verifier()
_KEY = _VERIFIER.parse_key(SIGNER.verifier_key)
_CONTENT = make_file(make_records(approved=True))


def _is_refused(content: bytes) -> bool:
    try:
        _VERIFIER.verify(content, _KEY)
    except _VERIFIER.Refused:
        return True
    return False


def test_the_file_itself_is_verified() -> None:
    assert not _is_refused(_CONTENT)


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_each_byte_changed_is_refused(mask: int) -> None:
    accepted = []
    for place in range(len(_CONTENT)):
        changed = bytearray(_CONTENT)
        changed[place] ^= mask
        if not _is_refused(bytes(changed)):
            accepted.append(place)
    assert accepted == []


def test_each_byte_left_out_is_refused() -> None:
    for place in range(len(_CONTENT)):
        assert _is_refused(_CONTENT[:place] + _CONTENT[place + 1 :]), place


_PLACES = st.integers(min_value=0, max_value=len(_CONTENT))


@given(_PLACES, _PLACES, st.binary(max_size=8))
def test_any_other_edit_is_refused(start: int, end: int, replacement: bytes) -> None:
    start, end = min(start, end), max(start, end)
    changed = _CONTENT[:start] + replacement + _CONTENT[end:]
    assert changed == _CONTENT or _is_refused(changed)


@given(_PLACES, st.sampled_from([b" ", b"\n", b"\t", b"\xef\xbb\xbf", b"0", b"-", b"\\u0061"]))
def test_no_white_space_or_other_spelling_is_let_in(place: int, extra: bytes) -> None:
    assert _is_refused(_CONTENT[:place] + extra + _CONTENT[place:])
