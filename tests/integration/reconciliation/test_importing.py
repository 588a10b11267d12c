"""A statement file in: matched in the same transaction, known by its digest, its bad lines left out, its doubts as cases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from psycopg import Connection

from domain.case import CaseOutcome
from ledger.reconciliation.mapping import AccountNotMapped, MappedElsewhere, UnknownLedgerAccount
from ledger.reconciliation.running import AccountBusy, lock_account
from ledger.reconciliation.statement import UnreadableStatement
from storage.cases import list_cases
from storage.events import list_events_of
from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.scene import ACCOUNT, NOW
from tests.integration.reconciliation.world import DAY, HOUSE, KIM, BankWorld
from tests.unit.reconciliation.camt import IBAN, balance, entry, message


def test_a_file_is_matched_as_it_comes(bank: BankWorld) -> None:
    first, second, third = bank.refund(4990), bank.refund(700), bank.refund(100_000)
    report = bank.bring(
        bank.line("-49.90", f"REFUND {first.upper().replace('_', '-')}")
        + bank.line("-7.00")
        + bank.line("-1005.00", third)
        + bank.line("-3.33")
    )
    assert report.matched == {"exact_reference": 1, "amount_and_date": 1, "reference_with_fee": 1}
    assert report.breaks == {"missing_in_ledger": 1}
    assert (report.already_imported, report.quarantined_lines) == (False, 0)
    rows = bank.edge.execute(
        "SELECT 'tfr_' || REPLACE(transfer_id::TEXT, '-', ''), rule, difference_minor, amount_minor"
        " FROM reconciliation.matches JOIN reconciliation.match_transfers USING (tenant_id, match_id) ORDER BY rule"
    ).fetchall()
    assert rows == [
        (second, "amount_and_date@1", 0, -700),
        (first, "exact_reference@1", 0, -4_990),
        (third, "reference_with_fee@1", -500, -100_000),
    ]
    (case,) = list_cases(bank.edge)
    assert (case.amount_minor, case.currency, case.due_at) == (-333, "EUR", NOW + timedelta(hours=8, days=3))
    assert case.facts["entry_reference"] == "BANK-4"
    assert [event.event_type for event in list_events_of(bank.edge, report.file_id)] == ["statement.imported"]


def test_the_same_file_again_changes_nothing_and_says_so(bank: BankWorld) -> None:
    content = bank.line("-49.90", bank.refund()) + bank.line("-3.33")
    report = bank.bring(content)
    events = bank.count("core.events")
    again = bank.bring(content, code="house:elsewhere", now=NOW + timedelta(days=9))
    assert again.already_imported
    assert (again.file_id, again.statements, again.breaks) == (report.file_id, report.statements, report.breaks)
    assert bank.count("core.events") == events
    assert bank.count("reconciliation.statement_lines") == 2


def test_a_decision_or_instruction_names_the_transfer_too(bank: BankWorld) -> None:
    transfers = [bank.refund() for _ in range(4)]
    instruction = bank.edge.execute(
        "SELECT instruction_id FROM core.outbox WHERE payload ->> 'transfer_id' = %s", [transfers[3]]
    ).fetchone()
    assert instruction is not None
    decision = bank.edge.execute(
        "SELECT decision_id FROM ledger.transfer_lines WHERE transfer_id = %s::UUID", [transfers[1][4:]]
    ).fetchone()
    assert decision is not None
    report = bank.bring(
        bank.line("-49.90", transfers[0][4:])
        + bank.line("-49.90", decision[0])
        + bank.line("-49.90", transfers[2])
        + bank.line("-49.90", f"INS/{instruction[0].hex}")
    )
    assert report.matched == {"exact_reference": 4}


def test_a_camt_file_maps_its_account_once(bank: BankWorld) -> None:
    refund = bank.refund()
    parts = [balance("OPBD", "100.00"), balance("CLBD", "50.10"), entry(end_to_end_id=refund[4:])]
    with pytest.raises(AccountNotMapped):
        bank.bring(message(parts), code=None, file_format="camt053")
    assert bank.count("reconciliation.statements") == 0
    report = bank.bring(message(parts), file_format="camt053")
    assert report.matched == {"exact_reference": 1}
    assert (report.statements[0].account, report.statements[0].code) == ("…3000", HOUSE)
    later = message([entry("1.00", reference="X")])
    assert bank.bring(later, code=None, file_format="camt053").statements[0].code == HOUSE
    with pytest.raises(MappedElsewhere):
        bank.bring(message([entry("2.00")]), code=f"customer:{ACCOUNT}", file_format="camt053")
    stored = bank.edge.execute("SELECT JSONB_AGG(TO_JSONB(m)) :: TEXT FROM reconciliation.account_mappings AS m").fetchone()
    assert stored is not None
    assert IBAN not in stored[0]
    assert KIM in stored[0]


def test_a_mirrored_account_sees_the_other_side(bank: BankWorld) -> None:
    refund = bank.refund()
    report = bank.bring(bank.line("-49.90", refund), code=f"customer:{ACCOUNT}", mirrored=True)
    assert report.matched == {"exact_reference": 1}
    wrong = bank.bring(bank.line("-49.90", refund), code=HOUSE, mirrored=True)
    assert wrong.breaks == {"amount_differs": 1}


def test_an_account_that_the_ledger_does_not_know_is_a_slip(bank: BankWorld) -> None:
    with pytest.raises(UnknownLedgerAccount):
        bank.bring(bank.line("-1.00"), code="house:refunds:EUER")
    with pytest.raises(AccountNotMapped):
        bank.bring(bank.line("-1.00"), code=None)
    assert bank.count("reconciliation.account_mappings") == 0


def test_bad_lines_wait_in_quarantine_and_a_corrected_file_brings_them(bank: BankWorld) -> None:
    good, bad = bank.line("-49.90", bank.refund()), bank.line("-7,00").replace("-7,00", '"-7,00"')
    report = bank.bring(good + bad)
    assert report.quarantined[0].reason_code == "decimal_comma"
    assert bank.edge.execute("SELECT line_number, reason_code FROM reconciliation.quarantined_lines").fetchall() == [
        (3, "decimal_comma")
    ]
    corrected = bank.bring(good + bad.replace('"-7,00"', "-7.00"))
    assert (corrected.statements[0].repeated, corrected.statements[0].lines) == (1, 2)
    assert corrected.breaks == {"missing_in_ledger": 1}
    assert bank.count("reconciliation.statement_lines") == 2


def test_a_malformed_file_leaves_nothing(bank: BankWorld) -> None:
    events = bank.count("core.events")
    for content, file_format in ((b"<a/>", "camt053"), (b"a,b\n", "csv"), (b"", "csv"), (b"x" * (33 * 2**20), "csv")):
        with pytest.raises(UnreadableStatement):
            bank.bring(content, file_format=file_format)  # type: ignore[arg-type]
    assert bank.count("core.events") == events
    assert bank.count("reconciliation.statement_files") == 0


def test_a_balance_that_does_not_add_up_is_a_break_until_a_file_agrees(bank: BankWorld) -> None:
    header = "type,booked_on,amount,currency,entry_reference,reference\n"
    opening, closing = f"opening,{DAY},100.00,EUR,,\n", f"closing,{DAY},50.10,EUR,,\n"
    first, second = (f"entry,{bank.line(amount, bank.refund())}" for amount in ("-49.90", "-7.00"))
    report = bank.bring(opening + first + second + closing, header=header)
    assert report.breaks["balance_differs"] == 1
    assert report.statements[0].imbalance_minor == 700
    case = next(item for item in list_cases(bank.edge) if item.facts["break"] == "balance_differs")
    assert (case.amount_minor, case.facts["opening_minor"], case.facts["closing_minor"]) == (700, 10_000, 5_010)
    bank.bring(opening + first + second + closing.replace("50.10", "43.10"), header=header)
    assert ("balance_differs", case.subject) in bank.breaks("closed")


def test_duplicates_are_told_and_repetitions_are_not(bank: BankWorld) -> None:
    refund = bank.refund()
    line = bank.line("-49.90", refund)
    report = bank.bring(line + line)
    assert report.matched == {"exact_reference": 1}
    assert report.breaks == {"duplicate_line": 1}
    overlapping = bank.bring(line + bank.line("-49.91", entry_reference="BANK-1"))
    assert overlapping.statements[0].repeated == 1
    assert overlapping.breaks == {"duplicate_line": 1}
    assert bank.kinds() == ["duplicate_line", "duplicate_line"]
    assert bank.run()[0].opened == {}


def test_two_files_at_once_on_one_account_are_one_after_the_other(bank: BankWorld, conn_as: ConnAs, tenant: Tenant) -> None:
    other = conn_as("jobs", tenant)
    with other.transaction():
        lock_account(other, HOUSE)
        with pytest.raises(AccountBusy):
            bank.bring(bank.line("-1.00"))
    assert bank.bring(bank.line("-1.00")).breaks == {"missing_in_ledger": 1}


def test_one_file_brought_by_four_at_once_is_in_once(bank: BankWorld, conn_as: ConnAs, tenant: Tenant) -> None:
    content = bank.line("-49.90", bank.refund())
    worlds = [BankWorld(tenant, conn_as, bank.scene) for _ in range(4)]

    def bring(world: BankWorld) -> str:
        try:
            return world.bring(content).file_id
        except AccountBusy:
            return ""

    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(bring, worlds)) - {""}
    assert len(found) == 1
    assert bank.count("reconciliation.matches") == 1


def test_nothing_regulated_of_a_statement_is_stored(bank: BankWorld, admin_conn: Connection[Any]) -> None:
    name, iban, card = "Chidi Okonkwo", "DE02120300000000202051", "4111111111111111"
    parts = [
        entry(ustrd=f"REFUND {name} {iban}", reference=iban),
        entry("2.00", end_to_end_id=f"{card}", reference=card, extra=f"<AddtlNtryInf>{name}</AddtlNtryInf>"),
        entry(f"2.0{card}", reference="BANK-9"),
    ]
    bank.bring(message(parts), file_format="camt053")
    bank.bring(f"{DAY},-1.00,EUR,{name},{iban}\n")
    tables = [
        str(row[0])
        for row in admin_conn.execute(
            "SELECT FORMAT('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('reconciliation', 'core')"
        )
    ]
    assert len(tables) > 20
    for table in tables:
        rows = admin_conn.execute(f"SELECT TO_JSONB(t)::TEXT FROM {table} AS t").fetchall()
        everything = "\n".join(row[0] for row in rows)
        assert not {word for word in (name, iban, card, "Ana Ferreyra", IBAN) if word in everything}, table


def test_a_case_that_settles_itself_says_how(bank: BankWorld) -> None:
    bank.bring(bank.line("-49.90"))
    bank.refund(now=NOW + timedelta(hours=1))
    report, _ = bank.run()
    assert (report.matched, report.settled) == ({"amount_and_date": 1}, 1)
    (case,) = list_cases(bank.edge, state=None)
    assert (case.outcome, case.closed_by) == (CaseOutcome.MATCHED_LATER, "system")
