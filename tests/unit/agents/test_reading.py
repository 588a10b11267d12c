"""What code reads in messages as operators write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.support.model_reading import ModelReading, combine_readings
from agents.support.money_text import find_amounts
from agents.support.reading import Intent, read_by_code
from tests.unit.agents.sheet import NOW, sheet, transaction, usual

D, R, X, F, P = Intent.DUPLICATE_CHARGE, Intent.REFUND, Intent.DECLINE, Intent.FEE, Intent.PAYOUT
Q, ELSE = Intent.QUESTION, Intent.OTHER

SURE = [
    ("Was the customer charged twice by Nordwind Books?", D, "T2", "refund"),
    ("The customer was charged twice, refund the duplicate please.", D, "T2", "refund"),
    ("The customer was charged twice, please refund the duplicate.", D, "T2", "refund"),
    ("I was charged two times for the same book", D, "T2", "refund"),
    ("Customer says: double charge of 12.90 EUR", D, "T2", "refund"),
    ("T2 and T3 look like a duplicate", D, "T2", "refund"),
    ("is T3 a duplicate of T2? do not refund anything yet", D, "T2", "none"),
    ("Was T6 charged twice?", D, "T6", "none"),
    ("Please refund T6.", R, "T6", "refund"),
    ("refund EUR 640.00 at Cafe Azur", R, "T6", "refund"),
    ("Can you give him the 4.50 at Cafe Azur back?", R, "T7", "refund"),
    ("The customer wants his money back for T7", R, "T7", "refund"),
    ("Please refund X1.", R, "X1", "refund"),
    ("Refund the fee of EUR 3.00", R, "T5", "refund"),
    ("has T6 been refunded?", R, "T6", "none"),
    ("Why was the card declined?", X, "T4", "none"),
    ("payment at Cafe Azur did not go through, why", X, "T4", "none"),
    ("What is this fee the customer was charged?", F, "T5", "none"),
    ("Where is his payout?", P, "T1", "none"),
    ("The customer's money has not arrived", P, "T1", "none"),
    ("How long does a payout take to arrive?", Q, None, "none"),
    ("What is the policy on duplicate charges?", Q, None, "none"),
    ("Within how many days may a refund be asked for?", Q, None, "none"),
    ("Who has to approve a refund above EUR 1,000.00?", Q, None, "none"),
    ("What does decline code 51 mean?", Q, None, "none"),
    ("What are the fees for cash withdrawals?", Q, None, "none"),
    ("tell me about T5", ELSE, "T5", "none"),
    ("How are duplicate charges handled?", Q, None, "none"),
    ("What do we do when a customer says he was charged twice?", Q, None, "none"),
    ("How should double charges be refunded?", Q, None, "none"),
    ("What happens if someone is billed two times?", Q, None, "none"),
    ("Are duplicate charges refunded?", D, "T2", "none"),
    ("duplicate charges", D, "T2", "none"),
    ("Are there any duplicate charges?", D, "T2", "refund"),
    ("She sees the same payment booked twice", D, "T2", "refund"),
    ("Was I double charged?", D, "T2", "refund"),
]


@pytest.mark.parametrize(("text", "intent", "handle", "action"), SURE, ids=[row[0] for row in SURE])
def test_sure_readings(text: str, intent: Intent, handle: str | None, action: str) -> None:
    reading = read_by_code(text, usual())
    assert (reading.intent, reading.handle, reading.action, reading.sureness) == (intent, handle, action, "sure")


@pytest.mark.parametrize(
    "text",
    [
        "Please refund the payment at Cafe Azur",
        "Refund the customer please",
        "refund T6 or T7",
        "the card was declined and the payout is missing",
        "Please refund EUR 5.00 or maybe EUR 6.00 of T6",
    ],
)
def test_close_readings_propose_nothing(text: str) -> None:
    reading = read_by_code(text, usual())
    assert (reading.sureness, reading.action) == ("close", "none")


@pytest.mark.parametrize("text", ["hello", "ok thanks", "…", "asdf qwer", "Guten Tag, ich brauche Hilfe", "12345", "T99"])
def test_nothing_is_read_into_nothing(text: str) -> None:
    assert read_by_code(text, usual()).sureness == "unsure"


def test_an_amount_is_kept_as_asked() -> None:
    reading = read_by_code("Please refund EUR 900.00 of T6", usual())
    assert (reading.amount_minor, reading.currency) == (90000, "EUR")
    reading = read_by_code("Please refund USD 5 of T6", usual())
    assert (reading.amount_minor, reading.currency) == (500, "USD")


def test_two_double_charges_are_asked_back_unless_one_is_named() -> None:
    other = {"merchant_id": "mrc_x", "merchant_name": "Xylo Sports", "descriptor": "XYLO", "amount_minor": 5500}
    facts = sheet(transaction("T1"), transaction("T2"), transaction("T3", **other), transaction("T4", **other))
    assert read_by_code("he was charged twice", facts).sureness == "close"
    assert read_by_code("he was charged twice by Xylo", facts).handle == "T4"


def test_the_pair_within_minutes_is_meant_and_not_two_purchases_hours_apart() -> None:
    coffee = {"merchant_id": "mrc_c", "merchant_name": "Kaffee Berlin", "descriptor": "KAFFEE BERLIN"}
    facts = sheet(
        transaction("T1", **coffee, occurred_at=NOW),
        transaction("T2", **coffee, occurred_at=NOW - timedelta(hours=5)),
        transaction("T3", descriptor="NORDWIND BOOKS BERLIN", occurred_at=NOW - timedelta(days=3)),
        transaction("T4", descriptor="NORDWIND BOOKS BERLIN", occurred_at=NOW - timedelta(days=3, minutes=4)),
    )
    assert [(pair.repeat, pair.is_close) for pair in facts.duplicates] == [("T1", False), ("T3", True)]
    assert read_by_code("Please refund the duplicate charge.", facts).handle == "T3"
    named = read_by_code("The customer says NORDWIND BOOKS BERLIN charged him twice. Please refund the duplicate.", facts)
    assert (named.handle, named.action) == ("T3", "refund")
    assert read_by_code("he was charged twice by Kaffee", facts).handle == "T1"


@given(st.text(max_size=400))
def test_any_text_is_read_without_error_and_only_known_handles_come_out(text: str) -> None:
    facts = usual()
    reading = read_by_code(text, facts)
    assert reading.handle is None or facts.find(reading.handle) or reading.handle in facts.outside
    assert reading.action == "none" or (reading.handle and reading.sureness == "sure")


@pytest.mark.parametrize("intent", list(Intent))
@pytest.mark.parametrize("handle", ["T1", "T4", "T5", "T6", "none"])
def test_a_models_reading_never_adds_an_action(intent: Intent, handle: str) -> None:
    facts = usual()
    for text in ("hello", "Please refund the payment at Cafe Azur", "Where is his payout?"):
        code = read_by_code(text, facts)
        combined = combine_readings(code, ModelReading(intent=intent, handle=handle, action="refund"), facts)
        assert combined.action == code.action
        assert code.sureness == "unsure" or combined == code


@pytest.mark.parametrize(
    ("text", "minor", "currency"),
    [
        ("EUR 12.90", 1290, "EUR"), ("12,90 €", 1290, "EUR"), ("1.234,50 EUR", 123450, "EUR"), ("EUR 1,234.50", 123450, "EUR"),
        ("£5", 500, "GBP"), ("JPY 1290", 1290, "JPY"), ("KWD 1.290", 1290, "KWD"), ("1 000 EUR", 100000, "EUR"),
        ("5 euros", 500, "EUR"),
    ],
)  # fmt: skip
def test_amounts_are_exact(text: str, minor: int, currency: str) -> None:
    (amount,) = find_amounts(f"refund {text} please")
    assert amount.currency == currency
    assert amount.minor_in(currency) == minor


@pytest.mark.parametrize("text", ["T12", "3 times", "on 2026-03-08", "50%", "card 4242", "JPY 12.90", "9" * 23 + " EUR"])
def test_what_is_no_amount_is_none(text: str) -> None:
    assert [amount.minor_in(amount.currency or "EUR") for amount in find_amounts(text)] in ([], [None])
