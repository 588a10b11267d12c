"""Lines in, rows or problems out: every kind of bad input is named by its line and reason, and never repeats the value."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.ingest.kinds import KINDS, UnknownKind, require_kind
from serving.ingest.reading import MAX_LINE_BYTES, FileFormat, Problem, ReadRow, UnreadableFile, read_rows, require_text_file

CUSTOMER: dict[str, Any] = {
    "customer_id": "cus_1",
    "name": "Zeynep Öztürk",
    "email": "zeynep@example.com",
    "phone": "+493023125000",
    "birth_date": "1980-02-29",
    "country": "DE",
    "language": "de",
    "segment": "standard",
    "kyc_status": "verified",
    "opened_at": "2025-01-01T00:00:00Z",
}
ACCOUNT: dict[str, Any] = {
    "account_id": "acc_1",
    "customer_id": "cus_1",
    "number": "DE32000000000000123456",
    "product": "current",
    "currency": "EUR",
    "status": "active",
    "opened_at": "2025-01-01T00:00:00Z",
}
CARD: dict[str, Any] = {
    "card_id": "crd_1",
    "account_id": "acc_1",
    "pan": "4111111111111111",
    "scheme": "visa",
    "status": "active",
    "expires_on": "2028-01-31",
}
TRANSACTION: dict[str, Any] = {
    "transaction_id": "txn_1",
    "account_id": "acc_1",
    "kind": "card_payment",
    "status": "posted",
    "amount_minor": 1290,
    "currency": "EUR",
    "descriptor": "FERNHOLLOW BOOKS GRAZ",
    "occurred_at": "2026-10-01T10:00:00Z",
    "posted_at": "2026-10-02T04:30:00Z",
}
MERCHANT: dict[str, Any] = {"merchant_id": "mrc_1", "name": "Fernhollow Books", "category_code": "5942", "country": "AT"}
ROWS = {"customers": CUSTOMER, "accounts": ACCOUNT, "cards": CARD, "merchants": MERCHANT, "transactions": TRANSACTION}


def _read(kind: str, data: bytes, file_format: FileFormat = "jsonl") -> list[ReadRow | Problem]:
    stream = io.BytesIO(data)
    require_text_file(stream)
    return list(read_rows(stream, KINDS[kind], file_format))


def _only_problem(kind: str, data: bytes) -> Problem:
    (found,) = _read(kind, data)
    assert isinstance(found, Problem), found
    return found


def _changed(kind: str, **changes: Any) -> bytes:
    row = {**ROWS[kind], **changes}
    return json.dumps({name: value for name, value in row.items() if value is not ...}).encode()


@pytest.mark.parametrize("kind", ROWS)
def test_good_row_is_read(kind: str) -> None:
    (found,) = _read(kind, _changed(kind) + b"\n")
    assert isinstance(found, ReadRow)
    assert found.line == 1


@pytest.mark.parametrize(
    ("kind", "changes", "reason_code", "where"),
    [
        ("customers", {"name": ...}, "missing_field", "name"),
        ("customers", {"nickname": "Z"}, "unknown_field", "nickname"),
        ("customers", {"name": ""}, "empty_value", "name"),
        ("customers", {"name": "a" * 201}, "value_too_long", "name"),
        ("customers", {"name": "Zey\x00nep"}, "nul_character", "name"),
        ("customers", {"name": "Zey\x07nep"}, "control_character", "name"),
        ("customers", {"name": 7}, "wrong_type", "name"),
        ("customers", {"email": "no mail"}, "bad_value", "email"),
        ("customers", {"phone": "0301234"}, "bad_value", "phone"),
        ("customers", {"birth_date": "1981-02-29"}, "bad_date", "birth_date"),
        ("customers", {"birth_date": "29.02.1980"}, "bad_date", "birth_date"),
        ("customers", {"country": "Germany"}, "bad_value", "country"),
        ("customers", {"kyc_status": "maybe"}, "unknown_value", "kyc_status"),
        ("customers", {"opened_at": "2025-01-01T00:00:00"}, "naive_time", "opened_at"),
        ("customers", {"opened_at": "2025-13-01T00:00:00Z"}, "bad_time", "opened_at"),
        ("customers", {"opened_at": "0001-01-01T00:00:00+14:00"}, "bad_time", "opened_at"),
        ("customers", {"opened_at": 1735689600}, "wrong_type", "opened_at"),
        ("customers", {"opened_at": "1735689600"}, "bad_time", "opened_at"),
        ("customers", {"customer_id": "../../etc"}, "bad_value", "customer_id"),
        ("customers", {"customer_id": "x" * 65}, "bad_value", "customer_id"),
        ("customers", {"customer_id": "cus_1\n"}, "bad_value", "customer_id"),
        ("accounts", {"number": "DE33000000000000123456"}, "bad_checksum", "number"),
        ("accounts", {"number": "DE32 0000 0000"}, "bad_checksum", "number"),
        ("accounts", {"number": "''; DROP"}, "bad_value", "number"),
        ("accounts", {"currency": "XXX"}, "unlisted_currency", "currency"),
        ("accounts", {"currency": "eur"}, "unlisted_currency", "currency"),
        ("cards", {"pan": "4111111111111112"}, "bad_checksum", "pan"),
        ("cards", {"pan": "4111"}, "bad_value", "pan"),
        ("cards", {"cvv": "123"}, "unknown_field", "cvv"),
        ("transactions", {"amount_minor": -1290}, "negative_amount", "amount_minor"),
        ("transactions", {"amount_minor": 0}, "negative_amount", "amount_minor"),
        ("transactions", {"amount_minor": 12.9}, "wrong_type", "amount_minor"),
        ("transactions", {"amount_minor": "1290"}, "wrong_type", "amount_minor"),
        ("transactions", {"amount_minor": True}, "wrong_type", "amount_minor"),
        ("transactions", {"amount_minor": 10**16}, "amount_too_large", "amount_minor"),
        ("merchants", {"name": "CARD 4111 1111 1111 1111"}, "regulated_value_in_text", "name"),
        ("merchants", {"name": "TO DE32 0000 0000 0000 1234 56 RENT"}, "regulated_value_in_text", "name"),
        ("merchants", {"name": "ask zeynep@example.com"}, "regulated_value_in_text", "name"),
        ("transactions", {"transaction_id": "4111111111111111"}, "regulated_value_in_id", "transaction_id"),
        ("transactions", {"transaction_id": "4111-1111-1111-1111"}, "regulated_value_in_id", "transaction_id"),
        ("transactions", {"account_id": "acc:DE32000000000000123456"}, "regulated_value_in_id", "account_id"),
        ("transactions", {"card_id": "card_378282246310005"}, "regulated_value_in_id", "card_id"),
        ("transactions", {"status": "declined"}, "contradiction", ""),
        ("transactions", {"status": "pending"}, "contradiction", ""),
        ("transactions", {"posted_at": "2026-09-30T00:00:00Z"}, "contradiction", ""),
        ("transactions", {"related_transaction_id": "txn_1"}, "contradiction", ""),
        ("transactions", {"decline_trace": [{"step": "x"}]}, "missing_field", "decline_trace.0.result"),
    ],
)  # fmt: skip
def test_bad_row_is_named(kind: str, changes: dict[str, Any], reason_code: str, where: str) -> None:
    problem = _only_problem(kind, _changed(kind, **changes))
    assert (problem.reason_code, problem.line) == (reason_code, 1)
    assert where in problem.reason
    for value in changes.values():
        if isinstance(value, str) and len(value) > 3 and where:
            assert value not in problem.reason


@pytest.mark.parametrize(
    ("line", "reason_code"),
    [
        (b"{not json}", "bad_json"),
        (b"[1, 2]", "bad_json"),
        (b"null", "bad_json"),
        (b'{"customer_id": "cus_1"', "bad_json"),
        (b'{"name": "\\ud800"}', "bad_json"),
        (b'{"name": "caf\xe9"}', "invalid_utf8"),
        (b'{"name": "\x00"}', "nul_character"),
        (b'{"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "bad_json"),
        (b'{"name": "' + b"a" * MAX_LINE_BYTES + b'"}', "line_too_long"),
    ],
)
def test_bad_line_does_not_stop_the_next(line: bytes, reason_code: str) -> None:
    found = _read("customers", line + b"\n\n" + _changed("customers") + b"\r\n")
    assert [type(item) for item in found] == [Problem, ReadRow]
    assert isinstance(found[0], Problem)
    assert found[0].reason_code == reason_code
    assert found[1].line == 3


def test_unprintable_field_name_is_not_repeated() -> None:
    problem = _only_problem("customers", _changed("customers", **{"4111 1111 1111 1111": "x"}))
    assert problem.reason_code == "unknown_field"
    assert "4111" not in problem.reason


@pytest.mark.parametrize(
    "head",
    [b"PK\x03\x04", b"\x1f\x8b\x08", b"%PDF-1.7", b"\xff\xfe{\x00", b"PAR1"],
    ids=["zip", "gzip", "pdf", "utf-16", "parquet"],
)
def test_file_that_is_no_text_is_refused_as_a_whole(head: bytes) -> None:
    with pytest.raises(UnreadableFile, match="expected JSON lines or CSV"):
        require_text_file(io.BytesIO(head + b"rest"))


def test_file_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.ingest.reading.MAX_FILE_BYTES", 10)
    with pytest.raises(UnreadableFile, match="larger than"):
        require_text_file(io.BytesIO(b"x" * 11))


def test_empty_file_and_byte_order_mark() -> None:
    assert _read("customers", b"") == []
    assert _read("customers", b"", "csv") == []
    assert _read("customers", b"\n \n") == []
    (found,) = _read("customers", b"\xef\xbb\xbf" + _changed("customers"))
    assert isinstance(found, ReadRow)


def test_unknown_kind() -> None:
    with pytest.raises(UnknownKind, match="there are: merchants"):
        require_kind("passwords")


def test_csv_rows_have_exact_types() -> None:
    header = b"transaction_id,account_id,kind,status,amount_minor,currency,descriptor,occurred_at,posted_at,decline_trace\n"
    good = b'txn_1,acc_1,card_payment,posted,1290,EUR,"BOOKS, GRAZ",2026-10-01T12:00:00+02:00,2026-10-02T04:30:00Z,\n'
    bad_amount = b"txn_2,acc_1,card_payment,posted,12.90,EUR,BOOKS,2026-10-01T12:00:00Z,2026-10-02T04:30:00Z,\n"
    short = b"txn_3,acc_1\n"
    open_quote = b'txn_4,acc_1,"card_payment,posted,1290,EUR,BOOKS,2026-10-01T12:00:00Z,,\n'
    found = _read("transactions", header + good + bad_amount + short + open_quote + good.replace(b"txn_1", b"txn_5"), "csv")
    assert isinstance(found[0], ReadRow)
    row = found[0].row.model_dump()
    assert (row["amount_minor"], row["descriptor"], row["occurred_at"]) == (1290, "BOOKS, GRAZ", "2026-10-01T10:00:00.000000Z")
    assert [item.reason_code for item in found if isinstance(item, Problem)] == ["wrong_type", "bad_csv", "bad_csv"]
    assert isinstance(found[4], ReadRow)
    assert found[4].line == 6


def test_csv_lists_and_flags() -> None:
    header = b"operator_id,username,display_name,roles,active\n"
    found = _read(
        "operators", header + b"o1,ada,Ada,support|approver,true\no2,ben,Ben,owner,true\no3,eve,Eve,support,yes\n", "csv"
    )
    assert isinstance(found[0], ReadRow)
    assert found[0].row.model_dump()["roles"] == ("support", "approver")
    assert [item.reason_code for item in found[1:] if isinstance(item, Problem)] == ["unknown_value", "wrong_type"]
    trace = json.dumps([{"step": "balance_check", "result": "fail", "detail": {"available_minor": 3}}]).replace('"', '""')
    declined = (
        "transaction_id,account_id,kind,status,amount_minor,currency,descriptor,occurred_at,decline_code,decline_trace\n"
        f'txn_1,acc_1,card_payment,declined,5,EUR,BOOKS,2026-10-01T12:00:00Z,insufficient_funds,"{trace}"\n'
    )
    (row,) = _read("transactions", declined.encode(), "csv")
    assert isinstance(row, ReadRow), row
    assert row.row.model_dump()["decline_trace"][0]["detail"] == {"available_minor": 3}


@pytest.mark.parametrize(
    "header",
    [
        b"operator_id,username\n",
        b"operator_id,username,display_name,roles,shoe_size\n",
        b'"open\n',
        b"\xff\xfe\xfd\n",
        b"operator_id,username,display_name,roles,roles\n",
    ],
)
def test_csv_header_that_does_not_fit_stops_the_file(header: bytes) -> None:
    with pytest.raises(UnreadableFile, match="line 1"):
        list(read_rows(io.BytesIO(header + b"o1,ada,Ada,support\n"), KINDS["operators"], "csv"))


@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
@given(data=st.binary(max_size=300))
def test_any_bytes_give_rows_or_problems(file_format: FileFormat, data: bytes) -> None:
    stream = io.BytesIO((b"device_id,customer_id,platform,first_seen_at,trusted\n" if file_format == "csv" else b"") + data)
    for item in read_rows(stream, KINDS["devices"], file_format):
        assert isinstance(item, ReadRow | Problem)
        if isinstance(item, Problem):
            assert item.reason_code.isidentifier()
            assert 0 < len(item.reason) <= 300


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


@given(field=st.sampled_from([*sorted(TRANSACTION), "decline_trace", "reference", "zzz"]), value=_VALUES)
def test_any_value_in_any_field_is_read_or_named(field: str, value: Any) -> None:
    (found,) = _read("transactions", json.dumps({**TRANSACTION, field: value}).encode())
    if isinstance(found, ReadRow):
        row = found.row.model_dump()
        assert row["amount_minor"] > 0
        assert "\x00" not in json.dumps(row).replace("\\u0000", "\x00")
        again = _read("transactions", found.row.model_dump_json(exclude_none=True).encode())
        assert isinstance(again[0], ReadRow)
        assert again[0].row == found.row


@pytest.mark.parametrize(
    "transaction_id",
    ["4111111111111112", "9111111111111111", "20261122000123456", "txn_5f2c81a09b44", "DE33000000000000123456", "1" * 64],
)
def test_an_id_that_is_no_card_and_no_iban_is_an_id(transaction_id: str) -> None:
    (read,) = _read("transactions", _changed("transactions", transaction_id=transaction_id))
    assert isinstance(read, ReadRow), read
