"""Patterns find what check digits and context give away, and leave the facts of a case alone. All values are invented."""

from __future__ import annotations

import pytest

from masking.classes import PiiClass
from masking.never_mask import find_protected
from masking.patterns import find_patterns
from masking.validators import is_aadhaar, is_aba_routing, is_cpf, is_iban, is_luhn, is_spanish_id, is_us_ssn

FOUND = [
    (PiiClass.CARD, "my card 4242 4242 4242 4242 was charged", "4242 4242 4242 4242"),
    (PiiClass.CARD, "pan=5555555555554444.", "5555555555554444"),
    (PiiClass.IBAN, "to GB29 NWBK 6016 1331 9268 19 please", "GB29 NWBK 6016 1331 9268 19"),
    (PiiClass.IBAN, "iban de89370400440532013000", "de89370400440532013000"),
    (PiiClass.EMAIL, "write to ana.souza+x@mail.example.com.br!", "ana.souza+x@mail.example.com.br"),
    (PiiClass.EMAIL, "ana.souza at example dot com", "ana.souza at example dot com"),
    (PiiClass.PHONE, "call +44 7911 123456 now", "+44 7911 123456"),
    (PiiClass.PHONE, "phone: (212) 555-0143", "(212) 555-0143"),
    (PiiClass.ACCOUNT, "account number: 0123456789", "0123456789"),
    (PiiClass.ROUTING, "sort code 20-00-00", "20-00-00"),
    (PiiClass.ROUTING, "routing number 021000021", "021000021"),
    (PiiClass.ROUTING, "IFSC HDFC0001234", "HDFC0001234"),
    (PiiClass.NATIONAL_ID, "SSN 536-22-1178 and my name", "536-22-1178"),
    (PiiClass.NATIONAL_ID, "NINO QQ 12 34 56 C", "QQ 12 34 56"),
    (PiiClass.NATIONAL_ID, "AB 12 34 56 C", "AB 12 34 56 C"),
    (PiiClass.NATIONAL_ID, "cpf 529.982.247-25", "529.982.247-25"),
    (PiiClass.PASSPORT, "passport no. X1234567", "X1234567"),
    (PiiClass.LICENSE, "driving licence MORGA753116SM9IJ", "MORGA753116SM9IJ"),
    (PiiClass.BIRTH_DATE, "born on 4 March 1987 in Leeds", "4 March 1987"),
    (PiiClass.BIRTH_DATE, "DOB: 1987-03-04", "1987-03-04"),
    (PiiClass.IP, "from 203.0.113.9", "203.0.113.9"),
    (PiiClass.IP, "from 2001:db8::8a2e:370:7334 today", "2001:db8::8a2e:370:7334"),
    (PiiClass.DEVICE, "device 6f1c2d3e-4b5a-4c6d-8e7f-9a0b1c2d3e4f", "6f1c2d3e-4b5a-4c6d-8e7f-9a0b1c2d3e4f"),
    (PiiClass.SECRET, "my PIN is 4821", "4821"),
    (PiiClass.SECRET, "cvv: 123", "123"),
    (PiiClass.ADDRESS, "in Leeds LS1 4AB", "LS1 4AB"),
]


@pytest.mark.parametrize(("pii_class", "text", "value"), FOUND)
def test_found(pii_class: PiiClass, text: str, value: str) -> None:
    found = {(hit.pii_class, text[hit.start : hit.end]) for hit in find_patterns(text)}
    assert (pii_class, value) in found


@pytest.mark.parametrize(
    "text",
    [
        "EUR 1,234.56 on 2026-03-04 at 14:32, transaction txn_5f2c81a09b44",
        "4242 4242 4242 4243 is no valid number",
        "version 1.2.3.4.5 and 300.1.1.1",
        "the total of 12345678.90 was posted",
        "decline code 51, reason 4837, 3 of 12 months",
        "dec_0192f0c1a2b37c4d8e5f60718293a4b5",
    ],
)
def test_facts_are_not_values(text: str) -> None:
    assert [text[hit.start : hit.end] for hit in find_patterns(text)] == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("paid EUR 49.90 twice", "EUR 49.90"),
        ("paid 1.234,56 EUR", "1.234,56 EUR"),
        ("paid £12 and 3 %", "£12"),
        ("paid 200 euros", "200 euros"),
        ("on 2026-03-04T10:00:00Z", "2026-03-04T10:00:00Z"),
        ("see txn_5f2c81a09b44", "txn_5f2c81a09b44"),
        ("refund T12 now", "T12"),
        ("at Blue Bottle Coffee's", "Blue Bottle Coffee's"),
        ("order #20240305-0012", "20240305-0012"),
    ],
)
def test_protected(text: str, kept: str) -> None:
    start = text.index(kept)
    assert any(low <= start and start + len(kept) <= high for low, high in find_protected(text, ("Blue Bottle Coffee", "Tesco")))


def test_check_digits() -> None:
    assert is_luhn("4242424242424242")
    assert not is_luhn("4242424242424241")
    assert not is_luhn("0000000000000000")
    assert is_iban("GB29NWBK60161331926819")
    assert not is_iban("GB29NWBK60161331926818")
    assert is_aba_routing("021000021")
    assert not is_aba_routing("021000022")
    assert is_us_ssn("536-22-1178")
    assert not is_us_ssn("900-22-1178")
    assert is_cpf("529.982.247-25")
    assert not is_cpf("529.982.247-26")
    assert is_spanish_id("12345678Z")
    assert not is_spanish_id("12345678A")
    assert is_aadhaar("234123412346")
    assert not is_aadhaar("234123412347")
