"""A statement as CSV: documented columns, exact amounts, bad lines left out with line and reason."""

from __future__ import annotations

import io
from datetime import date

import pytest

from ledger.reconciliation.csv_statement import read_csv_statement
from ledger.reconciliation.statement import ReadStatement, UnreadableStatement

HEADER = "booked_on,amount,currency,direction,entry_reference,reference\n"
GOOD = "2026-03-02,49.90,EUR,debit,BANK-1,\n"


def read(text: str | bytes, *, decimal_comma: bool = False) -> ReadStatement:
    return read_csv_statement(io.BytesIO(text if isinstance(text, bytes) else text.encode()), decimal_comma=decimal_comma)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_marks_delimiters_and_line_ends_of_any_bank(mark: str, delimiter: str, end: str) -> None:
    text = mark + (HEADER.upper() + GOOD + "\n" + '"2026-03-04"," 7 ",EUR,Credit,,\n').replace(",", delimiter).replace("\n", end)
    statement = read(text)
    assert [(item.amount_minor, item.line_number) for item in statement.entries] == [(-4_990, 2), (700, 4)]
    assert (statement.account, statement.currency) == (None, "EUR")
    assert (statement.first_day, statement.end_day) == (date(2026, 3, 2), date(2026, 3, 5))
    assert (statement.opening_minor, statement.imbalance_minor) == (None, 0)


def test_a_sign_says_the_direction_where_no_column_does() -> None:
    statement = read("booked_on,amount,currency\n2026-03-02,-1290,JPY\n2026-03-02,5,JPY\n")
    assert [item.amount_minor for item in statement.entries] == [-1_290, 5]


def test_balances_stand_in_lines_of_their_own() -> None:
    text = (
        "type,booked_on,amount,currency,account\nopening,2026-03-01,-10.00,EUR,X1\nentry,2026-03-02,30.00,EUR,X1\n"
        "closing,2026-03-03,21.00,EUR,X1\n"
    )
    statement = read(text)
    assert (statement.opening_minor, statement.closing_minor, statement.imbalance_minor) == (-1_000, 2_100, 100)
    assert (statement.account, statement.first_day, statement.end_day) == ("X1", date(2026, 3, 1), date(2026, 3, 4))


def test_the_decimal_comma_is_declared_or_refused() -> None:
    text = HEADER.replace(",", ";") + "2026-03-02;1290,5;EUR;credit;A;\n2026-03-02;7;EUR;credit;B;\n"
    assert [item.amount_minor for item in read(text, decimal_comma=True).entries] == [129_050, 700]
    guarded = read(text)
    assert [line.reason_code for line in guarded.quarantined] == ["decimal_comma"]
    assert [line.reason_code for line in read(HEADER + GOOD + GOOD.replace("49.90", "7"), decimal_comma=True).quarantined] == [
        "decimal_point"
    ]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("2026-03-02,49.905,EUR,debit,,", "bad_amount"),
        ("2026-03-02,1.0,JPY,debit,,", "other_currency"),
        ("2026-03-02,-1.00,EUR,debit,,", "bad_amount"),
        ("2026-03-02,0,EUR,debit,,", "zero_amount"),
        ("2026-03-02,9999999999999999,EUR,debit,,", "amount_too_large"),
        ("2026-03-02,99999999999999999999,EUR,debit,,", "bad_amount"),
        ("2026-03-02,1 000.00,EUR,debit,,", "bad_amount"),
        ("2026-03-02,NaN,EUR,debit,,", "bad_amount"),
        ("2026-03-02,1.00,eur,debit,,", "unlisted_currency"),
        ("2026-03-02,1.00,EUR,D,,", "bad_direction"),
        ("02.03.2026,1.00,EUR,debit,,", "bad_date"),
        ("2026-02-29,1.00,EUR,debit,,", "bad_date"),
        ("2026-03-02,1.00,EUR,debit", "bad_csv"),
        ('2026-03-02,1.00,EUR,debit,"open,', "bad_csv"),
        ("2026-03-02,1.00,EUR,debit,\x00,", "nul_character"),
        (b"2026-03-02,1.00,EUR,debit,\xff,", "invalid_utf8"),
        ("2026-03-02,1.00,EUR,debit,A," + "x" * 70_000, "line_too_long"),
    ],
)
def test_a_bad_line_is_left_out_and_the_rest_goes_on(bad: str | bytes, code: str) -> None:
    raw = bad if isinstance(bad, bytes) else bad.encode()
    statement = read(HEADER.encode() + GOOD.encode() + raw + b"\n" + GOOD.encode())
    assert [(line.line_number, line.reason_code) for line in statement.quarantined] == [(3, code)]
    assert [item.line_number for item in statement.entries] == [2, 4]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "unreadable_statement"),
        (b"\n\n", "unreadable_statement"),
        (HEADER.encode(), "no_statement"),
        (b"amount,currency\n1,EUR\n", "wrong_header"),
        (b"booked_on,amount,amount,currency\n", "wrong_header"),
        (b"booked_on,amount,currency,counterparty_name\n", "wrong_header"),
        (b"booked_on\tamount\tcurrency\n2026-03-02\t1\tEUR\n", "wrong_header"),
        (b"PK\x03\x04rest", "unreadable_statement"),
        (b"\xff\xfeb\x00", "unreadable_statement"),
        (b"{1:F01BANK}", "unreadable_statement"),
        (b"\x00\x01\x02", "unreadable_statement"),
        ((HEADER + "x,y,z,debit,,\n").encode(), "no_good_line"),
        (b"account,booked_on,amount,currency\nA,2026-03-02,1,EUR\nB,2026-03-02,1,EUR\n", "several_accounts"),
        (b"type,booked_on,amount,currency\nopening,2026-03-02,x,EUR\nentry,2026-03-02,1,EUR\n", "unreadable_statement"),
        (b"type,booked_on,amount,currency\nopening,2026-03-02,1,EUR\nopening,2026-03-02,1,EUR\n", "unreadable_statement"),
    ],
)
def test_a_malformed_file_is_refused_whole(content: bytes, code: str) -> None:
    with pytest.raises(UnreadableStatement) as refused:
        read(content)
    assert refused.value.code == code, refused.value.message


def test_no_reason_repeats_what_stood_in_the_line() -> None:
    secret = "4929000000006"
    lines = [f"{secret},1,EUR,debit,,", f"2026-03-02,{secret}x,EUR,debit,,", f"2026-03-02,1,{secret},debit,,"]
    lines += [f"2026-03-02,1,EUR,{secret},,"]
    statement = read(HEADER + GOOD + "\n".join(lines))
    assert len(statement.quarantined) == 4
    assert secret not in repr(statement)
