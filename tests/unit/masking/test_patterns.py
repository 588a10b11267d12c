"""Patterns find what check digits and context give away, and leave the facts of a case alone. All values are invented."""

from __future__ import annotations

import pytest

from masking.classes import EmptyValue, PiiClass, canonical_form
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
    (PiiClass.NATIONAL_ID, "NINO QQ 12 34 56 C", "QQ 12 34 56 C"),
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
    # A word of the number's class, in many languages, on either side.
    (PiiClass.ACCOUNT, "Meine Kontonummer ist 1234567890.", "1234567890"),
    (PiiClass.ACCOUNT, "mi número de cuenta es 0123-456789", "0123-456789"),
    (PiiClass.ACCOUNT, "accounts 12345678 and 87654321", "87654321"),
    (PiiClass.ACCOUNT, "12345678 is my account number", "12345678"),
    (PiiClass.ROUTING, "Sort code/account: 20-00-00/12345678", "20-00-00"),
    (PiiClass.CARD, "4242424242424243 (card)", "4242424242424243"),
    (PiiClass.CARD, "it says 4242 4242 4242 4243", "4242 4242 4242 4243"),
    (PiiClass.CARD, "カード番号は4242424242424242です", "4242424242424242"),
    (PiiClass.NATIONAL_ID, "PESEL 85070312345", "85070312345"),
    (PiiClass.NATIONAL_ID, "her personnummer is 850703-1234", "850703-1234"),
    (PiiClass.NATIONAL_ID, "my BVN: 22345678901", "22345678901"),
    (PiiClass.NATIONAL_ID, "NIK 3171 2304 0585 0001", "3171 2304 0585 0001"),
    (PiiClass.NATIONAL_ID, "cédula 1.234.567.890", "1.234.567.890"),
    (PiiClass.NATIONAL_ID, "RSSMRA85T10A562S", "RSSMRA85T10A562S"),
    (PiiClass.NATIONAL_ID, "784-1984-1004577-1", "784-1984-1004577-1"),
    (PiiClass.NATIONAL_ID, "GHA-123456789-1", "GHA-123456789-1"),
    (PiiClass.PASSPORT, "Reisepass C01X00T47", "C01X00T47"),
    (PiiClass.LICENSE, "Führerschein Nr. B072RRE2I55", "B072RRE2I55"),
    (PiiClass.BIRTH_DATE, "生年月日は1980-12-09です", "1980-12-09"),
    (PiiClass.BIRTH_DATE, "geboren am 3. März 1988 in Köln", "3. März 1988"),
    (PiiClass.BIRTH_DATE, "born on the third of March nineteen eighty eight", "the third of March nineteen eighty eight"),
    (PiiClass.PHONE, "電話番号は03 1466 4792、", "03 1466 4792"),
    (PiiClass.PHONE, "Ruf an: 0151 23456789", "0151 23456789"),
    (PiiClass.PHONE, "on 0803 123 4567 or else", "0803 123 4567"),
    (PiiClass.WALLET, "send to 0x52908400098527886E0F7030069857D2E4169EE7", "0x52908400098527886E0F7030069857D2E4169EE7"),
    (PiiClass.WALLET, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    (PiiClass.CUSTOMER_ID, "Kundennummer 88127310", "88127310"),
    (PiiClass.CUSTOMER_ID, "GET /v2/customers/C-88672148/cards", "C-88672148"),
    (PiiClass.USERNAME, "pay harish41@okhdfc now", "harish41@okhdfc"),
    (PiiClass.USERNAME, "username: jmuller88", "jmuller88"),
    (PiiClass.SECRET, "482910 is your Amazon verification code", "482910"),
    (PiiClass.SECRET, "Your code is 6193. Never share it.", "6193"),
    (PiiClass.SECRET, "the password is hunter2!", "hunter2!"),
    (PiiClass.SECRET, "key sk_live_abcdefghij0123456789", "sk_live_abcdefghij0123456789"),
    (PiiClass.SECRET, "AKIAABCDEFGHIJKLMNOP", "AKIAABCDEFGHIJKLMNOP"),
    (PiiClass.SECRET, "Authorization: Bearer abc.def-123", "abc.def-123"),
    (PiiClass.DEVICE, "mac 00:1a:2b:3c:4d:5e", "00:1a:2b:3c:4d:5e"),
    (PiiClass.ADDRESS, "I live at 12 Rose Lane now", "12 Rose Lane"),
    (PiiClass.ADDRESS, "wohnt Lange Straße 8a", "Lange Straße 8a"),
    (PiiClass.ADDRESS, "P.O. Box 4521", "P.O. Box 4521"),
]


@pytest.mark.parametrize(("pii_class", "text", "value"), FOUND)
def test_found(pii_class: PiiClass, text: str, value: str) -> None:
    found = {(hit.pii_class, text[hit.start : hit.end]) for hit in find_patterns(text)}
    assert (pii_class, value) in found


@pytest.mark.parametrize(
    "text",
    [
        "EUR 1,234.56 on 2026-03-04 at 14:32, transaction txn_5f2c81a09b44",
        "4242424242424243 is no valid number",
        "version 1.2.3.4.5 and 300.1.1.1",
        "the total of 12345678.90 was posted",
        "decline code 51, reason 4837, 3 of 12 months",
        "my account was charged 12,500.00 on 12/05/2024, ref 8876123",
        "order number 88123456, invoice 2024001234, case 1234567",
        "error code 5012, MCC 5411, auth code 123456",
        "the card ending 4242, •••• 4242, balance 123456",
        "session id 12345678 took 1234 ms",
        "the account has 12345.60 left, account 98765.43",
        "account opened 12/05/2004, 45000 naira, INR 54,470",
        "TXN-12345678 and INV-2026-0012",
        "Dear customer, from 17-May-2024 our rates change",
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
    found = find_protected(text, ("Blue Bottle Coffee", "Tesco"))
    assert any(low <= start and start + len(kept) <= high for low, high in (*found.certain, *found.likely))


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


def test_a_number_in_words_has_a_form_of_its_own() -> None:
    assert canonical_form(PiiClass.PHONE, "oh three, two") == "ohthreetwo"
    assert canonical_form(PiiClass.PHONE, "0044 20 7946 0958") == canonical_form(PiiClass.PHONE, "+44 (20) 7946-0958")
    with pytest.raises(EmptyValue):
        canonical_form(PiiClass.PHONE, "+ -")
