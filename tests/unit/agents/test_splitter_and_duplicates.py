from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.support.drafting import SentenceSplitter
from agents.support.duplicates import find_duplicates
from tests.unit.agents.sheet import NOW, cafe, transaction

TEXT = 'It cost EUR 12.90 on 2026-03-08. The article "Why a fee?" says so. Approx. 3.5 of them? Yes!\n- A last one.'
SENTENCES = [
    "It cost EUR 12.90 on 2026-03-08.",
    'The article "Why a fee?" says so.',
    "Approx. 3.5 of them?",
    "Yes!",
    "A last one.",
]


@given(st.lists(st.integers(min_value=1, max_value=len(TEXT) - 1), unique=True).map(sorted))
def test_sentences_do_not_depend_on_how_the_stream_was_cut(cuts: list[int]) -> None:
    splitter = SentenceSplitter()
    edges = [0, *cuts, len(TEXT)]
    found = [sentence for low, high in pairwise(edges) for sentence in splitter.feed(TEXT[low:high])]
    assert found + splitter.flush() == SENTENCES


def test_a_sentence_that_was_cut_off_is_none() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("The refund of EUR 12.9") == []
    assert splitter.flush() == []


@pytest.mark.parametrize(
    ("second", "is_pair"),
    [
        ({"occurred_at": NOW}, True),
        ({"occurred_at": NOW, "amount_minor": 1291}, False),
        ({"occurred_at": NOW, "merchant_id": "mrc_other"}, False),
        ({"occurred_at": NOW, "account_id": "acc_2"}, False),
        ({"occurred_at": NOW, "status": "declined"}, False),
        ({"occurred_at": NOW, "status": "reversed"}, False),
        ({"occurred_at": NOW, "status": "pending"}, False),
        ({"occurred_at": NOW, "kind": "direct_debit"}, False),
        ({"occurred_at": NOW + timedelta(hours=23)}, True),
        ({"occurred_at": NOW + timedelta(hours=24) - timedelta(minutes=3)}, False),
    ],
)
def test_what_is_a_duplicate(second: dict[str, object], is_pair: bool) -> None:
    first = transaction("T2", occurred_at=NOW - timedelta(minutes=3))
    pairs = find_duplicates([transaction("T1", **second), first])
    assert [(pair.first, pair.repeat) for pair in pairs] == ([("T2", "T1")] if is_pair else [])


def test_a_charge_that_the_merchant_gave_back_is_no_duplicate() -> None:
    charges = [transaction("T2", occurred_at=NOW), transaction("T3", occurred_at=NOW - timedelta(minutes=3))]
    refund = cafe("T1", kind="merchant_refund", related_handle="T2")
    assert find_duplicates([refund, *charges]) == ()
