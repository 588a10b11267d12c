"""Typed references are found where they stand, and only those."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.conversation import HandleKind
from serving.edge.references import Replacement, find_references, replace_spans


def test_ids_of_each_kind_are_found_in_order() -> None:
    text = "TXN_5F2C81A09B44 on acc_7c1d22e90a11 with crd_1a2b3c4d5e6f for ben_aabbccddeeff"
    assert [(one.kind, one.value) for one in find_references(text)] == [
        (HandleKind.TRANSACTION, "txn_5f2c81a09b44"),
        (HandleKind.ACCOUNT, "acc_7c1d22e90a11"),
        (HandleKind.CARD, "crd_1a2b3c4d5e6f"),
        (HandleKind.BENEFICIARY, "ben_aabbccddeeff"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "card ending 4242",
        "card ending in 4242",
        "the card that ends in 4242",
        "card, last four digits 4242",
        "card ••••4242",
        "Card **4242",
    ],
)
def test_a_card_is_known_by_its_last_digits(text: str) -> None:
    (found,) = find_references(text)
    assert (found.kind, found.value, found.last_digits) == (HandleKind.CARD, "4242", True)
    assert text[found.start : found.end] == "4242"


@pytest.mark.parametrize("text", ["txn_", "txn_12", "my_txn_5f2c81a09b44x" * 8, "card 2026", "ending 4242", "card ending 42425"])
def test_other_things_are_left_alone(text: str) -> None:
    assert find_references(text) == ()


def test_replacing_writes_each_handle_once() -> None:
    text = "refund txn_5f2c81a09b44, not txn_0b77c1d2e3f4"
    spans = tuple(Replacement(one.start, one.end, f"T{at}") for at, one in enumerate(find_references(text), 1))
    assert replace_spans(text, spans) == "refund T1, not T2"


@given(st.text(max_size=300))
def test_references_never_overlap(text: str) -> None:
    found = find_references(text)
    assert all(left.end <= right.start for left, right in pairwise(found))
