"""JSON records on the real detector and vault: each leaf by itself, keys as context, places kept."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.origin import Origin
from masking.classes import PiiClass
from masking.structured import MAX_DEPTH, MAX_LEAVES, MaskedRecord, NotARecord, RecordTooLarge, mask_record
from masking.vault import KnownValues, PiiItem
from tests.integration.masking.conftest import Boundary

RECORD: dict[str, Any] = {
    "event": "payment.failed",
    "amount": "1290.00",
    "currency": "EUR",
    "customer": {"full_name": "Adebayo Okonkwo", "email": "ade@example.org", "date_of_birth": "1988-03-04", "vip": True},
    "card": {"number": "4000056655665556", "brand": "visa", "cvv": "123"},
    "account_number": 70872490,
    "attempts": 3,
    "note": "called from +44 20 7946 0958, will call again",
    "reference": "INV-2026-0815",
    "tags": [],
    "memo": None,
    "beneficiaries": [{"name": "Zeynep Öztürk", "iban": "DE89370400440532013000"}, {"name": "Rent", "iban": ""}],
}


def _mask(boundary: Boundary, value: Any, known: KnownValues | None = None) -> MaskedRecord:
    return mask_record(boundary.masker, value, scope=boundary.scope, origin=Origin.DOCUMENT, known_values=known)


def _at(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        value = value[int(part)] if isinstance(value, list) else value[part.replace("~1", "/").replace("~0", "~")]
    return value


def test_values_become_tokens_and_facts_stay(boundary: Boundary) -> None:
    masked = _mask(boundary, RECORD)
    value = masked.value
    for raw in ("Adebayo", "Okonkwo", "ade@", "1988", "4000056655665556", "123", "70872490", "7946", "Zeynep", "DE89"):
        assert raw not in json.dumps(value, ensure_ascii=False).replace("2026", ""), raw
    for key in ("event", "amount", "currency", "attempts", "reference", "tags", "memo"):
        assert value[key] == RECORD[key], key
    assert (value["customer"]["vip"], value["card"]["brand"], value["beneficiaries"][1]["iban"]) == (True, "visa", "")
    classes = {span.pointer: span.pii_class for span in masked.spans}
    assert classes["/customer/full_name"] is PiiClass.PERSON
    assert classes["/customer/date_of_birth"] is PiiClass.BIRTH_DATE
    assert classes["/card/number"] is PiiClass.CARD
    assert classes["/card/cvv"] is PiiClass.SECRET
    assert classes["/account_number"] is PiiClass.ACCOUNT
    assert classes["/note"] is PiiClass.PHONE
    assert classes["/beneficiaries/0/iban"] is PiiClass.IBAN
    assert re.fullmatch(r"called from <PHONE_\S+>, will call again", value["note"])
    assert masked.to_text().tokens


def test_a_highlight_finds_its_place_before_and_after(boundary: Boundary) -> None:
    masked = _mask(boundary, RECORD)
    assert len(masked.spans) >= 8
    for span in masked.spans:
        assert _at(masked.value, span.pointer)[span.masked_start : span.masked_end] == span.token
        original = str(_at(RECORD, span.pointer))
        assert 0 <= span.start < span.end <= len(original)
        if span.pii_class is not PiiClass.SECRET:
            assert boundary.read(span.token) == original[span.start : span.end]


def test_a_record_of_the_open_customer_is_recognised_anywhere(boundary: Boundary) -> None:
    with boundary.transact(boundary.tenant_id) as conn:
        items = [PiiItem(PiiClass.ACCOUNT, "70872490", "cus_one"), PiiItem(PiiClass.PERSON, "Marta Kowalska", "cus_one")]
        number, name = boundary.vault.tokenize_many(conn, items, tenant_id=boundary.tenant_id)
    known = boundary.masker.open_conversation(boundary.scope, actor="edge")
    # Under a kept key, as a number under a key that says nothing, and as a key.
    masked = _mask(boundary, {"reference": "rent marta kowalska", "x9": 70872490, "Marta Kowalska": 1, "status": "open"}, known)
    assert masked.value == {"reference": f"rent {name}", "x9": number, name: 1, "status": "open"}
    assert {span.pointer for span in masked.spans} == {"/reference", "/x9"}


def test_parts_of_an_address_and_labelled_values_and_lists(boundary: Boundary) -> None:
    masked = _mask(
        boundary,
        {
            "address": {"line1": "12 Harbour Lane", "line_9": "Flat 3"},
            "emails": ["one@example.org", "two@example.org"],
            "fields": [{"name": "phone", "value": "020 7946 0958"}, {"name": "currency", "value": "EUR"}],
            "merchant": {"name": "Blue Bottle Coffee"},
        },
    )
    classes = {span.pointer: span.pii_class for span in masked.spans}
    assert classes["/address/line1"] is classes["/address/line_9"] is PiiClass.ADDRESS
    assert classes["/emails/0"] is classes["/emails/1"] is PiiClass.EMAIL
    assert classes["/fields/0/value"] is PiiClass.PHONE
    assert masked.value["fields"][0]["name"] == "phone"
    assert masked.value["fields"][1] == {"name": "currency", "value": "EUR"}
    assert masked.value["merchant"] == {"name": "Blue Bottle Coffee"}


def test_keys_that_are_values_and_clash(boundary: Boundary) -> None:
    masked = _mask(
        boundary, {"4000056655665556": "declined", "4000 0566 5566 5556": "declined", "a/b~c": {"email": "x@example.org"}}
    )
    first, second, third = masked.value
    assert first.startswith("<CARD_")
    assert second == f"{first} (2)"
    assert third == "a/b~c"
    assert [span.pointer for span in masked.spans if span.pii_class is PiiClass.EMAIL] == ["/a~1b~0c/email"]
    assert "5556" not in repr(masked)


def test_records_that_are_too_large_or_none(boundary: Boundary) -> None:
    deep: Any = "x"
    for _ in range(MAX_DEPTH):
        deep = [deep]
    assert _mask(boundary, deep).value == deep
    with pytest.raises(RecordTooLarge, match="deeper than 64"):
        _mask(boundary, [deep])
    assert _mask(boundary, [1] * MAX_LEAVES).value == [1] * MAX_LEAVES
    with pytest.raises(RecordTooLarge, match="more than 10000"):
        _mask(boundary, [1] * (MAX_LEAVES + 1))
    for wrong in (object(), {1: "x"}, b"x", {"a": {2.5}}):
        with pytest.raises(NotARecord):
            _mask(boundary, wrong)


def test_one_leaf_that_is_no_text_stores_nothing(boundary: Boundary) -> None:
    from masking.input_text import NotText

    for key in ("note", "reference", "a\0b"):
        with pytest.raises(NotText):
            _mask(boundary, {"email": "one@example.org", key: "a\0b"})
    with pytest.raises(NotText):
        _mask(boundary, {"email": "one@example.org", "a\0b": 1})
    with boundary.transact(boundary.tenant_id) as conn:
        assert conn.execute("SELECT count(*) FROM vault.tokens").fetchone() == (0,)


_LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-9, 999)
    | st.sampled_from(["", " ", "EUR", "ade@example.org", "<PERSON_00000000-zz>"])
)
_KEY = st.sampled_from(["email", "currency", "x", "name", "value", "address", "a/b", "~"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.recursive(_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEY, inner, max_size=3), max_leaves=12)
)
def test_every_span_points_at_its_token_and_nothing_else_changed(boundary: Boundary, value: Any) -> None:
    masked = _mask(boundary, value)
    pointers = {span.pointer for span in masked.spans}
    for span in masked.spans:
        assert _at(masked.value, span.pointer)[span.masked_start : span.masked_end] == span.token
    _assert_same_but(value, masked.value, pointers, "")


def _assert_same_but(before: Any, after: Any, pointers: set[str], pointer: str) -> None:
    if isinstance(before, dict):
        assert list(before) == list(after)
        for key in before:
            _assert_same_but(before[key], after[key], pointers, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(before, list):
        assert len(before) == len(after)
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            _assert_same_but(one, other, pointers, f"{pointer}/{place}")
    elif pointer not in pointers:
        assert before == after
