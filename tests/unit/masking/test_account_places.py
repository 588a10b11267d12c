"""Account numbers without a word: behind a name, where money was sent, before an amount with its own currency."""

from __future__ import annotations

import pytest

from masking.account_places import find_unnamed_accounts
from masking.amounts import is_amount_beside
from masking.arbitration import Candidate, Places
from masking.classes import PiiClass


def _find(text: str, *, taken: str = "") -> list[str]:
    named = text.index("Ngozi Okonkwo") if "Ngozi Okonkwo" in text else -1
    found = [Candidate(named, named + len("Ngozi Okonkwo"), PiiClass.PERSON, 0.8, "model")] if named >= 0 else []
    facts = Places([(text.index(taken), text.index(taken) + len(taken))] if taken else [])
    return [text[one.start : one.end] for one in find_unnamed_accounts(text, found, facts)]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("EUR 40 to Ngozi Okonkwo, 52810-2", "52810-2"), ("Ngozi Okonkwo acc 2034567812.", "2034567812"),
        ("('Ngozi Okonkwo', '52810-2', 'paid')", "52810-2"), ("Ngozi Okonkwo 012 345 6789", "012 345 6789"),
        ("Ngozi Okonkwo giro 2034567", "2034567"), ("i sent 5,000 2 12345-6, did u get it", "12345-6"),
        ("paid 20 into 1234567 by mistake", "1234567"), ("Geld überwiesen auf 31926819", "31926819"),
    ],
)  # fmt: skip
def test_found(text: str, number: str) -> None:
    assert _find(text) == [number]


@pytest.mark.parametrize(
    "text",
    [
        "Ngozi Okonkwo 2026-05-12", "Ngozi Okonkwo, 20260512", "Ngozi Okonkwo paid 45000", "Ngozi Okonkwo, 1234567.50",
        "Ngozi Okonkwo said that it is 2034567", "moved from 12 to 15", "sent to 12345", "the queue went to 1234567",
        "Ngozi Okonkwo\n2034567812",
    ],
)  # fmt: skip
def test_left_alone(text: str) -> None:
    assert _find(text) == []


def test_a_fact_stays() -> None:
    assert _find("paid to 31926819", taken="31926819") == []


@pytest.mark.parametrize(
    ("text", "is_amount"),
    [
        ("2034567812 EUR 1,240.00", False), ("2034567812 EUR", True), ("1250 EUR 3 times", True), ("20345678 eur 5", False),
        ("12345678 euros", True),
    ],
)  # fmt: skip
def test_a_currency_belongs_to_the_number_behind_it(text: str, is_amount: bool) -> None:
    assert is_amount_beside(text, 0, text.index(" ")) is is_amount
