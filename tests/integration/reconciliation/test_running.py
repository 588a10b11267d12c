"""What is open is looked at again: breaks settle themselves, change their kind, wait for a person, or come back."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from psycopg import Connection, errors

from domain.case import CaseOutcome
from domain.transfer import TransferKind
from ledger.reconciliation.match_store import LineNotMatched
from ledger.reconciliation.running import list_accounts_at_work, lock_account, reconcile_account, unmatch_line
from ledger.settlement.importing import import_settlement, read_settlement
from ledger.setup import define_account
from storage.cases import close_case, list_cases
from storage.events import list_events_of
from storage.roles import LOGIN_ROLES, LoginRole
from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.house import BANK, BOB, House, make_answer, make_hold
from tests.integration.ledger.scene import NOW
from tests.integration.reconciliation.world import HOUSE, KIM, BankWorld

AFTER_GRACE = NOW + timedelta(days=4)
TABLES = (
    "account_mappings", "statement_files", "statements", "statement_lines", "quarantined_lines", "matches", "match_transfers",
    "unmatches",
)  # fmt: skip


@pytest.fixture
def kim(bank: BankWorld, admin_conn: Connection[Any]) -> Connection[Any]:
    admin_conn.execute(
        "INSERT INTO core.operators (tenant_id, operator_id, username, display_name, password_hash, roles)"
        " VALUES (%s, %s, 'kim', 'Kim Adeyemi', 'x', '{admin}')",
        [bank.tenant.tenant_id, KIM],
    )
    return bank.edge


def line_of(bank: BankWorld, number: int = 2) -> str:
    row = bank.edge.execute("SELECT line_id FROM reconciliation.statement_lines WHERE line_number = %s", [number]).fetchone()
    assert row is not None
    return str(row[0])


def test_a_run_with_no_news_changes_nothing(bank: BankWorld) -> None:
    bank.bring(bank.line("-49.90", bank.refund()) + bank.line("-3.33"))
    before = (bank.count("core.events"), bank.breaks(), bank.count("reconciliation.matches"))
    for minute in range(3):
        report, swept = bank.run(now=NOW + timedelta(hours=9, minutes=minute))
        assert (report.matched, report.opened, report.settled, swept) == ({}, {}, 0, 0)
    assert (bank.count("core.events"), bank.breaks(), bank.count("reconciliation.matches")) == before


def test_a_transfer_that_no_line_names_is_missing_after_the_grace(bank: BankWorld) -> None:
    named, forgotten = bank.refund(), bank.refund(700)
    bank.refund(123, now=NOW + timedelta(days=1))
    bank.bring(bank.line("-49.90", named))
    assert bank.run(now=NOW + timedelta(days=2))[1] == 0
    _, swept = bank.run(now=AFTER_GRACE)
    # The fixture's own refund of 0.01 is of the same day.
    assert swept == 2
    assert bank.kinds() == ["missing_in_statement"] * 2
    assert f"{forgotten}@{HOUSE}" in {subject for _, subject in bank.breaks()}
    assert bank.run(now=AFTER_GRACE + timedelta(days=1))[1] == 0
    report = bank.bring(bank.line("-7.00", forgotten, day="2026-03-05"), now=AFTER_GRACE)
    assert report.settled_cases == 1
    assert ("missing_in_statement", f"{forgotten}@{HOUSE}") in bank.breaks("closed")


def test_an_old_file_is_swept_when_it_comes(bank: BankWorld) -> None:
    bank.refund(700)
    report = bank.bring(bank.line("-49.90", bank.refund()), now=AFTER_GRACE)
    assert report.breaks == {"missing_in_statement": 2}


def test_a_break_that_changes_its_kind_is_another_case(bank: BankWorld) -> None:
    bank.bring(bank.line("-49.90"))
    bank.refund()
    bank.refund()
    report, _ = bank.run()
    assert report.opened == {"ambiguous": 1}
    assert (bank.kinds(), bank.kinds("closed")) == (["ambiguous"], ["missing_in_ledger"])
    closed = list_cases(bank.edge, state=None)[0]
    assert closed.outcome is CaseOutcome.SUPERSEDED


def test_what_a_person_decided_is_not_asked_again(bank: BankWorld, kim: Connection[Any]) -> None:
    bank.bring(bank.line("-49.90"))
    (case,) = list_cases(bank.edge)
    close_case(kim, case.case_id, operator_id=KIM, outcome=CaseOutcome.EXPLAINED, note="fee of the bank", now=NOW)
    bank.refund()
    report, _ = bank.run()
    assert (report.matched, report.opened) == ({}, {})
    assert bank.breaks() == []
    assert bank.count("reconciliation.open_lines") == 0


def test_taking_a_match_back_says_who_and_why_and_stays_so(bank: BankWorld) -> None:
    refund = bank.refund()
    bank.bring(bank.line("-49.90", refund), now=AFTER_GRACE)
    line_id = line_of(bank)
    with bank.jobs.transaction():
        unmatch_line(
            bank.jobs, line_id, tenant_id=bank.tenant.tenant_id, operator_id=KIM, reason="another payment", now=AFTER_GRACE
        )
    assert bank.edge.execute("SELECT unmatched_by, reason FROM reconciliation.unmatches").fetchall() == [(KIM, "another payment")]
    # The line is open, and so is the transfer, whose period was looked through before.
    assert ("missing_in_ledger", line_id) in bank.breaks()
    assert ("missing_in_statement", f"{refund}@{HOUSE}") in bank.breaks()
    for _ in range(2):
        assert bank.run(now=AFTER_GRACE)[0].matched == {}
    assert [event.data["unmatched_by"] for event in list_events_of(bank.edge, line_id)] == [KIM]
    # The line may be matched with another transfer, and the transfer with another line: a new round.
    report = bank.bring(bank.line("-49.90", refund), now=AFTER_GRACE)
    assert report.matched == {"exact_reference": 1}
    assert bank.edge.execute("SELECT round FROM reconciliation.match_transfers ORDER BY round").fetchall() == [(0,), (1,)]
    with pytest.raises(LineNotMatched), bank.jobs.transaction():
        unmatch_line(bank.jobs, line_id, tenant_id=bank.tenant.tenant_id, operator_id=KIM, reason="again", now=AFTER_GRACE)


def test_a_break_that_comes_back_is_a_new_case(bank: BankWorld) -> None:
    bank.bring(bank.line("-49.90"))
    bank.refund()
    bank.run()
    line_id = line_of(bank)
    with bank.jobs.transaction():
        unmatch_line(bank.jobs, line_id, tenant_id=bank.tenant.tenant_id, operator_id=KIM, reason="wrong", now=AFTER_GRACE)
    cases = [case for case in list_cases(bank.edge, state=None) if case.subject == line_id]
    assert [(case.opened_for, case.state) for case in cases] == [(f"{line_id}#1", "closed"), (f"{line_id}#2", "open")]


def test_a_settlement_batch_is_one_line_even_when_it_becomes_known_later(
    bank: BankWorld, conn_as: ConnAs, tenant: Tenant
) -> None:
    refunds = [bank.refund(300), bank.refund(200)]
    assert bank.bring(bank.line("-5.00", "SEPA-2026-061")).breaks == {"missing_in_ledger": 1}
    content = (
        '{"batch_id": "sepa-2026-061", "scheme": "sepa", "state": "settled", "occurred_at": "2026-03-02T06:00:00Z",'
        f' "currency": "EUR", "amount_minor": 500, "item_count": 2, "references": ["{refunds[0]}", "{refunds[1]}"]}}\n'
    )
    with bank.jobs.transaction():
        import_settlement(
            bank.jobs,
            read_settlement(io.BytesIO(content.encode()), "jsonl", now=NOW),
            tenant_id=tenant.tenant_id,
            operator_id=KIM,
            now=NOW,
        )
    report, _ = bank.run()
    assert (report.matched, report.settled) == ({"batch_sum": 1}, 1)
    assert bank.count("reconciliation.match_transfers") == 2


def test_a_hold_moves_nothing_until_it_is_posted(bank: BankWorld, conn_as: ConnAs, admin_conn: Connection[Any]) -> None:
    house = House(bank.tenant, conn_as, admin_conn, _scene=bank.scene)
    define_account(house.importer, BANK, "EUR", rolled_up=True, now=NOW)
    define_account(house.importer, BOB, "EUR", now=NOW)
    named, unnamed = (make_hold(debit=BANK, credit=BOB, amount_minor=amount) for amount in (500, 700))
    house.must_post(named, unnamed)
    report = bank.bring(bank.line("-5.00", f"tfr_{named.transfer_id.hex}") + bank.line("-7.00"), code=BANK)
    assert report.breaks == {"missing_in_ledger": 2}
    house.must_post(*(make_answer(hold, TransferKind.POST) for hold in (named, unnamed)))
    with bank.jobs.transaction():
        lock_account(bank.jobs, BANK)
        run = reconcile_account(bank.jobs, BANK, now=NOW)
    assert (run.matched, run.settled) == ({"exact_reference": 1, "amount_and_date": 1}, 2)
    # Taken back in full, it is the bank's next line.
    (posted,) = bank.edge.execute(
        "SELECT transfer_id FROM ledger.transfer_lines WHERE kind = 'post' AND amount_minor = 500"
    ).fetchall()
    reversal = make_answer(named, TransferKind.REVERSE, target_id=posted[0])
    house.must_post(reversal)
    again = bank.bring(bank.line("5.00", f"tfr_{reversal.transfer_id.hex}"), code=BANK)
    assert again.matched == {"exact_reference": 1}


def test_the_job_finds_the_accounts_that_need_it(bank: BankWorld) -> None:
    assert list_accounts_at_work(bank.jobs, now=NOW) == []
    bank.bring(bank.line("-49.90", bank.refund()))
    assert list_accounts_at_work(bank.jobs, now=NOW) == []
    assert list_accounts_at_work(bank.jobs, now=AFTER_GRACE) == [HOUSE]
    bank.bring(bank.line("-3.33"))
    assert list_accounts_at_work(bank.jobs, now=NOW) == [HOUSE]


def test_the_database_refuses_a_second_match_of_a_transfer_or_a_line(bank: BankWorld) -> None:
    bank.bring(bank.line("-49.90", bank.refund()) + bank.line("-49.90"))
    copy_match = (
        "INSERT INTO reconciliation.matches (tenant_id, match_id, line_id, rule, difference_minor, matched_at)"
        " SELECT tenant_id, 'mch_' || REPEAT('0', 32), {}, rule, 0, matched_at FROM reconciliation.matches"
    )
    with pytest.raises(errors.UniqueViolation):
        bank.jobs.execute(copy_match.format("line_id").encode())
    bank.jobs.execute(copy_match.format(f"'{line_of(bank, 3)}'").encode())
    with pytest.raises(errors.UniqueViolation):
        bank.jobs.execute(
            "INSERT INTO reconciliation.match_transfers (tenant_id, match_id, code, transfer_id, round, amount_minor)"
            " SELECT tenant_id, 'mch_' || REPEAT('0', 32), code, transfer_id, 7, amount_minor FROM reconciliation.match_transfers"
        )


@pytest.mark.parametrize("role", LOGIN_ROLES)
@pytest.mark.parametrize("table", TABLES)
def test_nobody_rewrites_what_a_statement_said(bank: BankWorld, conn_as: ConnAs, role: LoginRole, table: str) -> None:
    connection = conn_as(role, bank.tenant)
    for attack in (
        "UPDATE reconciliation.{} SET tenant_id = tenant_id",
        "DELETE FROM reconciliation.{}",
        "TRUNCATE reconciliation.{}",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(attack.format(table).encode())


@pytest.mark.parametrize("role", sorted(set(LOGIN_ROLES) - {"jobs"}))
def test_only_a_job_writes(bank: BankWorld, conn_as: ConnAs, role: LoginRole) -> None:
    connection = conn_as(role, bank.tenant)
    with pytest.raises(errors.InsufficientPrivilege):
        connection.execute("INSERT INTO reconciliation.unmatches SELECT tenant_id, 'm', 'x', 'y', NOW() FROM core.tenants")
    with pytest.raises(errors.InsufficientPrivilege):
        connection.execute("INSERT INTO settlement.batch_members SELECT tenant_id, 'r', 'b', NOW() FROM core.tenants")
    if role != "ai":
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(
                "INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data)"
                " VALUES (%s, gen_random_uuid(), 'statement.imported', 'x', 'y', NOW(), NOW(), '{}')",
                [bank.tenant.tenant_id],
            )


def test_the_superuser_meets_the_guards(bank: BankWorld, admin_conn: Connection[Any]) -> None:
    bank.bring(bank.line("-49.90", bank.refund()))
    for table in TABLES:
        for attack in ("DELETE FROM reconciliation.{}", "TRUNCATE reconciliation.{} CASCADE"):
            with pytest.raises(errors.InsufficientPrivilege):
                admin_conn.execute(attack.format(table).encode())
    with pytest.raises(errors.InsufficientPrivilege, match="nothing else"):
        admin_conn.execute("UPDATE reconciliation.statements SET closing_minor = 1")


def test_another_tenant_sees_nothing(bank: BankWorld, conn_as: ConnAs, other_tenant: Tenant) -> None:
    bank.bring(bank.line("-49.90", bank.refund()) + bank.line("-3.33"))
    foreign = conn_as("jobs", other_tenant)
    for table in TABLES:
        assert foreign.execute(f"SELECT COUNT(*) FROM reconciliation.{table}".encode()).fetchone() == (0,)
    assert list_accounts_at_work(foreign, now=AFTER_GRACE) == []
