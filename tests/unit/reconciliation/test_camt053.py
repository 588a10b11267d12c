"""camt.053: what is read, what is left out with its line, and what is refused before anything happens."""

from __future__ import annotations

import io
import tracemalloc
from datetime import date

import pytest

from ledger.reconciliation.camt053 import read_camt053
from ledger.reconciliation.statement import ReadStatement, UnreadableStatement
from tests.unit.reconciliation.camt import IBAN, balance, entry, message

HEX = "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"


def read(content: bytes) -> ReadStatement:
    (statement,) = read_camt053(io.BytesIO(content))
    return statement


@pytest.mark.parametrize("version", ["02", "03", "04", "05", "06", "07", "08"])
@pytest.mark.parametrize("prefix", ["", "ns2"])
def test_every_version_is_read_by_local_names(version: str, prefix: str) -> None:
    status = "<Sts>BOOK</Sts>" if version < "04" else "<Sts><Cd>BOOK</Cd></Sts>"
    parts = [
        balance("OPBD", "100.00", day="2026-03-01"),
        balance("CLBD", "60.10"),
        entry(status=status, end_to_end_id=HEX, ustrd=f"REFUND TFR-{HEX.upper()} FOR ANA"),
        entry("10.00", direction="CRDT", status=status, reference="BANK-2"),
    ]
    statement = read(message(parts, version=version, prefix=prefix))
    assert statement.account == IBAN
    assert (statement.currency, statement.first_day, statement.end_day) == ("EUR", date(2026, 3, 1), date(2026, 3, 3))
    assert (statement.opening_minor, statement.closing_minor, statement.imbalance_minor) == (10_000, 6_010, 0)
    first, second = statement.entries
    assert (first.amount_minor, second.amount_minor) == (-4_990, 1_000)
    assert first.reference_keys == (f"tfr_{HEX}", f"uuid:{HEX}")
    assert (first.entry_reference, second.reference_keys) == ("BANK-1", ())
    assert not statement.quarantined


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [("JPY", "1290", 1290), ("USD", "12.9", 1290), ("KWD", "1.290", 1290), ("EUR", "0.01", 1), ("EUR", "7", 700)],
)
def test_amounts_are_exact_by_currency(currency: str, amount: str, minor: int) -> None:
    content = message([entry(amount, currency=currency)]).replace(b"<Ccy>EUR</Ccy>", b"")
    assert read(content).entries[0].amount_minor == -minor


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (entry("49,90"), "decimal_comma"),
        (entry("49.905"), "bad_amount"),
        (entry("-49.90"), "bad_amount"),
        (entry("4e2"), "bad_amount"),
        (entry("NaN"), "bad_amount"),
        (entry("٤٩"), "bad_amount"),
        (entry(""), "bad_amount"),
        (entry("0.00"), "zero_amount"),
        (entry("99999999999999.00"), "amount_too_large"),
        (entry(currency="GBP"), "other_currency"),
        (entry(currency="XXX"), "unlisted_currency"),
        (entry(direction="DEBIT"), "bad_direction"),
        (entry(day="2026-02-30"), "bad_date"),
        (entry(day=""), "bad_date"),
        (entry(day="9999-12-31"), "bad_date"),
    ],
)
def test_a_bad_entry_is_left_out_with_its_line(bad: str, code: str) -> None:
    statement = read(message([entry(), bad, entry(reference="BANK-3")]))
    assert [line.reason_code for line in statement.quarantined] == [code]
    assert statement.quarantined[0].line_number == 4
    assert "49" not in statement.quarantined[0].reason
    assert [item.entry_reference for item in statement.entries] == ["BANK-1", "BANK-3"]


def test_only_booked_entries_count() -> None:
    pending = entry(status="<Sts><Cd>PDNG</Cd></Sts>", reference="P")
    statement = read(message([entry(), pending, entry(status="<Sts>INFO</Sts>")]))
    assert (len(statement.entries), statement.not_booked) == (1, 2)


def test_a_reversal_counts_as_it_is_booked() -> None:
    """CdtDbtInd says what happened to the account; RvslInd only says why. Source: ISO 20022, ReportEntry."""
    assert read(message([entry(direction="CRDT", extra="<RvslInd>true</RvslInd>")])).entries[0].amount_minor == 4_990


def test_the_period_of_the_bank_wins() -> None:
    period = "<FrToDt><FrDtTm>2026-03-01T00:00:00Z</FrDtTm><ToDtTm>{}</ToDtTm></FrToDt>"
    until_midnight = read(message([period.format("2026-03-03T00:00:00Z"), entry()]))
    until_evening = read(message([period.format("2026-03-03T23:59:59+01:00"), entry()]))
    assert (until_midnight.first_day, until_midnight.end_day) == (date(2026, 3, 1), date(2026, 3, 3))
    assert until_evening.end_day == date(2026, 3, 4)


def test_balances_may_be_negative_zero_or_the_previous_closing() -> None:
    parts = [balance("PRCD", "0.00", day="2026-03-01"), balance("CLBD", "49.90", direction="DBIT"), entry()]
    statement = read(message(parts))
    assert (statement.opening_minor, statement.closing_minor, statement.imbalance_minor) == (0, -4_990, 0)
    assert statement.first_day == date(2026, 3, 2)


def test_several_statements_come_out_one_by_one() -> None:
    one = message([entry()]).decode()
    start, end = one.index("<Stmt>"), one.index("</Stmt>") + len("</Stmt>")
    double = one[:end] + one[start:end].replace(IBAN, "DE02120300000000202051") + one[end:]
    assert [statement.account for statement in read_camt053(io.BytesIO(double.encode()))] == [IBAN, "DE02120300000000202051"]


LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (message([entry(ustrd="&j;")], prolog=f"{LAUGHS}]>"), "dangerous_xml"),
        (message([entry()], prolog='<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'), "dangerous_xml"),
        (message([entry()], prolog='<!DOCTYPE d SYSTEM "http://example.com/evil.dtd">'), "dangerous_xml"),
        (message([entry()], prolog="<!DOCTYPE d>"), "dangerous_xml"),
        (message([entry(ustrd="&undeclared;")]), "bad_xml"),
        (message([entry()])[:-20], "bad_xml"),
        (message([entry()]) + b"<more/>", "bad_xml"),
        (b"not xml", "bad_xml"),
        (b"booked_on,amount,currency\n", "bad_xml"),
        (message([entry()], prolog='<?xml version="1.0" encoding="UTF-7"?>'), "bad_xml"),
        (message([entry()]).replace(b"Ana", b"\xff\xfe"), "bad_xml"),
        (message(["<a>" * 40, "</a>" * 40]), "bad_xml"),
        (message([entry(ustrd="x" * 5_000)]), "bad_xml"),
        (message([entry()], version="01"), "not_camt053"),
        (message([entry()], version="09"), "not_camt053"),
        (message([entry()]).replace(b"camt.053", b"camt.054"), "not_camt053"),
        (message([entry()]).replace(b"BkToCstmrStmt", b"BkToCstmrDbtCdtNtfctn"), "not_camt053"),
        (message([entry()]).replace(b"<Stmt>", b"<Rpt>").replace(b"</Stmt>", b"</Rpt>"), "no_statement"),
        (message([]), "no_statement"),
        (message([entry("49,90")]), "no_good_line"),
        (message([balance("CLBD", "1,00"), entry()]), "unreadable_statement"),
        (message([balance("OPBD", "1.00", currency="GBP"), entry()]), "unreadable_statement"),
    ],
)
def test_what_is_no_statement_is_refused_whole(content: bytes, code: str) -> None:
    with pytest.raises(UnreadableStatement) as refused:
        read_camt053(io.BytesIO(content))
    assert refused.value.code == code, refused.value.message


def test_memory_follows_the_entries_and_not_the_text() -> None:
    """Nine tenths of a message are names and texts that nothing keeps."""
    content = message([entry(reference=f"BANK-{number}", ustrd="word " * 200) for number in range(5_000)])
    tracemalloc.start()
    statement = read(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(statement.entries) == 5_000
    assert peak < len(content) // 2
