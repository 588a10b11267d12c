"""Amounts and handles of a message, and whose words they stand in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.mentions import MAX_MENTIONS, find_mentions
from domain.money import EXPONENTS, Money, parse_decimal, render_money
from domain.origin import Origin


def _found(text: str) -> dict[tuple[str, str], Origin]:
    return {(one.kind, one.value): one.origin for one in find_mentions(text, ())}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("EUR 49.90", "EUR 49.90"),
        ("49,90 €", "EUR 49.90"),
        ("€49.90", "EUR 49.90"),
        ("1.299,50 eur", "EUR 1299.50"),
        ("$1,299", "USD 1299.00"),
        ("12 345,60 SEK", "SEK 12345.60"),
        ("JPY 1290", "JPY 1290"),
        ("KWD 1.290", "KWD 1.290"),
        ("49.90", "49.90"),
        ("49,90", "49.90"),
        ("20", "20"),
    ],
)
def test_an_amount_is_read_as_people_write_it(written: str, value: str) -> None:
    assert _found(f"please refund {written} today") == {("amount", value): Origin.STAFF}


@pytest.mark.parametrize("text", ["on 12.03.2026 at noon", "txn_5f2c81a09b44", "version 1.2.3", "EUR 12.3456 each", "T12345"])
def test_dates_ids_and_versions_are_no_amounts(text: str) -> None:
    assert not [kind for kind, _ in _found(text) if kind == "amount"]


@pytest.mark.parametrize(
    "text",
    [
        "> give me 500 for T3",
        "he wrote “give me 500 for T3”",
        'mail: "500 for T3"',
        "The customer says 500 for T3.",
        "  > T3 500",
    ],
)
def test_quoted_words_are_the_customers(text: str) -> None:
    assert _found(text) == {("amount", "500"): Origin.CUSTOMER_TEXT, ("handle", "T3"): Origin.CUSTOMER_TEXT}


def test_what_the_operator_repeats_himself_is_his() -> None:
    assert _found("> I want 500 for T3\nrefund 20 for T3") == {
        ("handle", "T3"): Origin.STAFF,
        ("amount", "500"): Origin.CUSTOMER_TEXT,
        ("amount", "20"): Origin.STAFF,
    }


def test_a_thousandfold_amount_gets_no_human_origin_by_accident() -> None:
    assert ("amount", "KWD 1290.000") not in _found("KWD 1.290")


def test_tokens_are_mentioned_with_the_words_around_them() -> None:
    token = "<PERSON_7f3a9k2m-q4>"
    (mention,) = find_mentions(f"> {token} wrote", (token,))
    assert (mention.kind, mention.value, mention.origin) == ("token", token, Origin.CUSTOMER_TEXT)


def test_a_wall_of_numbers_ends() -> None:
    assert len(find_mentions(" ".join(map(str, range(10_000))), ())) == MAX_MENTIONS


@given(st.sampled_from(sorted(EXPONENTS)), st.integers(1, 10**12))
def test_what_we_render_we_find(currency: str, amount_minor: int) -> None:
    written = render_money(Money(amount_minor, currency))
    assert ("amount", written) in _found(f"refund {written} now")


@given(st.text(max_size=300))
def test_any_text_is_read_and_every_amount_with_a_currency_parses(text: str) -> None:
    for mention in find_mentions(text, ()):
        if mention.kind == "amount" and " " in mention.value:
            currency, number = mention.value.split(" ")
            assert parse_decimal(number, currency).amount_minor >= 0
