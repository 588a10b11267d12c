"""Keys say what stands beside them, in every way that keys are written. All values are invented."""

from __future__ import annotations

from itertools import pairwise

import pytest

from masking.classes import PiiClass, class_of_name
from masking.structure import class_of_key, find_fields, is_kept_key

P = PiiClass


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"customer": {"name": "Ann Lee", "dob": "1990-01-02"}, "amount": 12.5}', {
            ("Ann Lee", P.PERSON), ("1990-01-02", P.BIRTH_DATE),
        }),
        ("{'ssn': '123-45-6789', 'status': 'ok'}", {("123-45-6789", P.NATIONAL_ID)}),
        ('log "{\\"email\\":\\"a@b.example\\",\\"cvv\\":\\"123\\"}"', {("a@b.example", P.EMAIL), ("123", P.SECRET)}),
        ('{"phones": ["0712 345 678", "0712 345 679"]}', {("0712 345 678", P.PHONE), ("0712 345 679", P.PHONE)}),
        ('{"customer": {"id": "43163266", "tier": "gold"}}', {("43163266", P.CUSTOMER_ID)}),
        ("id,customer_name,email,amount\n7,\"Lee, Ann\",a@b.example,12.00\n8,Bo,b@c.example,3", {
            ("Lee, Ann", P.PERSON), ("a@b.example", P.EMAIL), ("Bo", P.PERSON), ("b@c.example", P.EMAIL),
        }),
        ("Name\tKonto\tBetrag\nAnn Lee\t1234567\t5,00", {("Ann Lee", P.PERSON), ("1234567", P.ACCOUNT)}),
        ("| Name | IBAN | Amount |\n|---|---|---|\n| Ann Lee | DE12 3456 7890 | 5.00 |", {
            ("Ann Lee", P.PERSON), ("DE12 3456 7890", P.IBAN),
        }),
        ("Date        Name         Amount\n2024-01-01  Ann Lee      12.00\n", {("Ann Lee", P.PERSON)}),
        ("<Dbtr><Nm>Ann Lee</Nm></Dbtr><DbtrAcct><Id><Othr><Id>9518750055</Id></Othr></Id></DbtrAcct>", {
            ("Ann Lee", P.PERSON), ("9518750055", P.ACCOUNT),
        }),
        ('<person name="Ann Lee" birthDate="1973-10-08" ccy="EUR"/>', {("Ann Lee", P.PERSON), ("1973-10-08", P.BIRTH_DATE)}),
        ('level=info email=a@b.example customer=CIF1234 amount=12.3 pin=1234', {
            ("a@b.example", P.EMAIL), ("CIF1234", P.CUSTOMER_ID), ("1234", P.SECRET),
        }),
        ("failed: from=227032450348994 to=304471733364739 amount=5", {("227032450348994", P.ACCOUNT), ("304471733364739",
        P.ACCOUNT)}),
        ("GET /x?phone=%2B441234567&amount=5&name=Ann", {("Ann", P.PERSON), ("2B441234567", P.PHONE)}),
        ("Surname ........ Lee\nDate of birth: 02/03/1990\nKontonummer: 12345678 (Giro)", {
            ("Lee", P.PERSON), ("02/03/1990", P.BIRTH_DATE), ("12345678", P.ACCOUNT),
        }),
        ("Phone:\n0712 345 678\n", {("0712 345 678", P.PHONE)}),
        ("Name: Ann Lee DOB: 01/02/1990 Account: 12345678.", {("Ann Lee", P.PERSON), ("01/02/1990", P.BIRTH_DATE),
        ("12345678", P.ACCOUNT)}),
        ("氏名：佐藤 美咲\n電話番号：03-1466-4792", {("佐藤 美咲", P.PERSON), ("03-1466-4792", P.PHONE)}),
    ],
)  # fmt: skip
def test_values_of_named_fields(text: str, values: set[tuple[str, PiiClass]]) -> None:
    assert {(text[one.start : one.end], one.pii_class) for one in find_fields(text) if not one.keep} == values


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (
            '{"amount": 12.5, "currency": "EUR", "merchant": "Ann\'s Bakery", "bic": "DEUTDEFF"}',
            {"12.5", "EUR", "Ann's Bakery", "DEUTDEFF"},
        ),
        ("date,merchant,amount\n2024-01-02,Blue Bottle,12.00", {"2024-01-02", "Blue Bottle", "12.00"}),
        ("Reference: TXN-12345678\nStatus: declined", {"TXN-12345678", "declined"}),
        ("Reference: rent Ann Lee", set()),
        ("Note: Ann Lee called about 0712 345 678", set()),
    ],
)
def test_facts_of_kept_fields(text: str, facts: set[str]) -> None:
    assert {text[one.start : one.end] for one in find_fields(text) if one.keep} == facts


@pytest.mark.parametrize(
    "text",
    [
        "I paid 12, then nothing; it was, well, fine.",
        "Could you change my name? Please see my letter of today.",
        "Name: please change it as written below",
        "Phone: not provided\nEmail: n/a\nCard: none",
        "",
    ],
)
def test_prose_and_empty_fields_have_no_values(text: str) -> None:
    assert [one for one in find_fields(text) if not one.keep] == []


def test_fields_do_not_overlap_and_values_are_never_joined() -> None:
    text = '{"name": "Ann Lee", "alias": "Bo", "card": "4242424242424242"}\nname=Ann, card: 4242'
    fields = find_fields(text)
    assert all(left.end <= right.start for left, right in pairwise(fields))
    assert "Ann Lee" in {text[one.start : one.end] for one in fields}


def test_keys_in_many_spellings() -> None:
    assert class_of_key("cardHolderName") is P.PERSON
    assert class_of_key("beneficiary-IBAN") is P.IBAN
    assert class_of_key("Geburtsdatum") is P.BIRTH_DATE
    assert class_of_key("customer_home_phone_2") is P.PHONE
    assert class_of_key("Nº de cuenta") is P.ACCOUNT
    assert class_of_key("номер карты") is P.CARD
    for key in ("amount", "txnId", "merchant_name", "bank_name", "card_last4", "bic", "created_at", "eventName"):
        assert class_of_key(key) is None, key
        assert is_kept_key(key), key
    for key in ("colour", "", "___", "a" * 500, "foo_bar_baz_qux_quux_corge_grault"):
        assert class_of_key(key) is None
        assert not is_kept_key(key)


def test_names_of_classes_from_elsewhere() -> None:
    expected = {
        "DOB": P.BIRTH_DATE, "date of birth": P.BIRTH_DATE, "US_SSN": P.NATIONAL_ID, "Tax-ID": P.NATIONAL_ID,
        "CREDIT_CARD": P.CARD,
        "bank_account": P.ACCOUNT, "sort code": P.ROUTING, "DRIVERS_LICENCE": P.LICENSE, "CRYPTO": P.WALLET, "UPI": P.USERNAME,
        "postcode": P.ADDRESS, "Phone Numbers": P.PHONE, "person": P.PERSON, "CUSTOMER_ID": P.CUSTOMER_ID, "IP_ADDRESS": P.IP,
        "imei": P.DEVICE, "CVV": P.SECRET, "BIC": P.OTHER, "": P.OTHER, "nothing known": P.OTHER, "LITERAL": P.OTHER,
    }  # fmt: skip
    assert {name: class_of_name(name) for name in expected} == expected


def test_the_surer_of_two_fields_that_overlap_stays() -> None:
    text = 'Account: {"iban": "DE12 3456 7890 12", "status": "ok"}'
    fields = find_fields(text)
    assert [(text[one.start : one.end], one.pii_class) for one in fields] == [("DE12 3456 7890 12", P.IBAN), ("ok", None)]
