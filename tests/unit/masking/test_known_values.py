"""Known values are found in the forms people write, and not by chance. Invented people only."""

from __future__ import annotations

import pytest

from masking.classes import PiiClass
from masking.guard import LeakBlocked, check_outgoing
from masking.known_values import KnownValueFinder
from masking.vault import KnownValue, KnownValues

RECORD = KnownValues(
    "cus_one",
    "v1",
    (
        KnownValue(PiiClass.PERSON, "Marta Kowalska-Nowak", "person"),
        KnownValue(PiiClass.PERSON, "May Müller", "second"),
        KnownValue(PiiClass.PERSON, "王小明", "third"),
        KnownValue(PiiClass.PERSON, "Olúwaṣeun Adébáyọ̀", "fourth"),
        KnownValue(PiiClass.EMAIL, "marta.kowalska@example.com", "email"),
        KnownValue(PiiClass.PHONE, "+48 601 234 567", "phone"),
        KnownValue(PiiClass.PHONE, "+44 20 7946 0958", "phone2"),
        KnownValue(PiiClass.IBAN, "DE89370400440532013000", "iban"),
        KnownValue(PiiClass.CARD, "4000056655665556", "card"),
        KnownValue(PiiClass.BIRTH_DATE, "1987-03-04", "birth"),
        KnownValue(PiiClass.ADDRESS, "12 Rose Lane, Leeds, LS1 4AB", "address"),
        KnownValue(PiiClass.NATIONAL_ID, "85070312345", "national"),
    ),
)
FINDER = KnownValueFinder(RECORD)


@pytest.mark.parametrize(
    ("text", "written", "token"),
    [
        ("for Marta Kowalska-Nowak today", "Marta Kowalska-Nowak", "person"),
        ("for MARTA KOWALSKA NOWAK today", "MARTA KOWALSKA NOWAK", "person"),
        ("for Kowalska-Nowak, Marta today", "Kowalska-Nowak, Marta", "person"),
        ("for M. Kowalska-Nowak today", "M. Kowalska-Nowak", "person"),
        ("for martakowalskanowak today", "martakowalskanowak", "person"),
        ("it's M-A-R-T-A speaking", "M-A-R-T-A", "person"),
        ("marta's card", "marta", "person"),
        ("Ms Nowak called", "Nowak", "person"),
        ("Mar\u200bta called", "Mar\u200bta", "person"),
        ("for May Mueller", "May Mueller", "second"),
        ("ask May about it", "May", "second"),
        ("王小明的账户", "王小明", "third"),
        ("ask Oluwaseun Adebayo", "Oluwaseun Adebayo", "fourth"),
        ("mail Marta.Kowalska@Example.com", "Marta.Kowalska@Example.com", "email"),
        ("marta dot kowalska at example dot com", "marta dot kowalska at example dot com", "email"),
        ("call 601-234-567", "601-234-567", "phone"),
        ("call +48601234567", "+48601234567", "phone"),
        ("call 0048 601 234 567", "0048 601 234 567", "phone"),
        ("call (020) 7946 0958", "020) 7946 0958", "phone2"),
        ("call 7946 0958", "7946 0958", "phone2"),
        ("de89 3704 0044 0532 0130 00.", "de89 3704 0044 0532 0130 00", "iban"),
        ("4000-0566-5566-5556", "4000-0566-5566-5556", "card"),
        ("ref994000056655665556xx", "4000056655665556", "card"),
        ("on 04/03/1987", "04/03/1987", "birth"),
        ("on 3/4/87", "3/4/87", "birth"),
        ("on 4th of March, 1987", "4th of March, 1987", "birth"),
        ("on Mar 4 1987", "Mar 4 1987", "birth"),
        ("on 1987-03-04", "1987-03-04", "birth"),
        ("at 12 Rose Lane in", "12 Rose Lane", "address"),
        ("at ls14ab now", "ls14ab", "address"),
        ("id 850703-12345", "850703-12345", "national"),
    ],
)
def test_found(text: str, written: str, token: str) -> None:
    assert (written, token) in {(text[hit.start : hit.end], hit.known.token) for hit in FINDER.find(text)}


@pytest.mark.parametrize(
    "text",
    [
        "it may be paid in may, martagon lilies",
        "1601234567890 and 0601234567890",
        "Leeds is a city; a rose lane of 12",
        "mart a kow alska",
        "the 4th of March and 1987 points",
        "EUR 870.30 and 12,345",
    ],
)
def test_not_by_chance(text: str) -> None:
    assert [text[hit.start : hit.end] for hit in FINDER.find(text)] == []


def test_leak_guard_blocks_known_values_and_checked_patterns_and_names_no_value() -> None:
    for text in ("Dear Marta Kowalska-Nowak,", "IBAN DE89 3704 0044 0532 0130 00", "card 4242 4242 4242 4242", "x@example.org"):
        with pytest.raises(LeakBlocked) as caught:
            check_outgoing(text, known_values=RECORD)
        assert not any(part in str(caught.value) for part in ("Marta", "3704", "4242", "example"))
    with pytest.raises(LeakBlocked):
        check_outgoing("card 4242 4242 4242 4242")


def test_leak_guard_lets_masked_text_facts_and_public_contacts_pass() -> None:
    check_outgoing("<PERSON_7f3a9k2m-q4> was charged EUR 49.90 on 2026-03-04 (T1). It may rain.", known_values=RECORD)
    check_outgoing("Write to help@bank.example.", public=("help@bank.example",))
