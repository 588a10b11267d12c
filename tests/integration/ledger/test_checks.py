"""Each invariant has a check, and each check finds exactly the damage that was planted, and nothing on a sound ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection, IsolationLevel

from domain.ids import make_uuid7
from domain.transfer import ResultCode, TransferKind
from ledger.checks import Breach, CheckReport, NotOneSnapshot, find_last_check, open_incidents, run_check
from ledger.setup import define_account
from ledger.upkeep import expire_holds, roll_up
from storage.cases import require_case
from storage.events import Placement, next_position, record_positions, take_unsequenced
from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.house import ALICE, BANK, BOB, NOW, PURSE, House, make_answer, make_hold, make_request

LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def house(tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> House:
    """Money in, some of it moved, held, posted in part, voided, expired and reversed; a refund decided and executed."""
    house = House(tenant, conn_as, admin_conn)
    house.open_accounts()
    house.bring_in(ALICE, 10_000)
    house.bring_in(PURSE, 500)
    hold = make_hold(amount_minor=300)
    lapsing = make_hold(amount_minor=7, hold_expires_at=NOW + timedelta(seconds=90))
    moved = make_request(debit=ALICE, credit=PURSE, amount_minor=1_000)
    house.must_post(moved, hold, lapsing, make_request(debit=PURSE, credit=BANK, amount_minor=40))
    roll_up(house.jobs)
    house.must_post(
        make_answer(hold, TransferKind.POST, amount_minor=120),
        make_answer(moved, TransferKind.REVERSE, amount_minor=250),
        make_request(debit=BANK, credit=BOB, amount_minor=33),
        make_hold(credit=BANK, amount_minor=60),
    )
    assert expire_holds(house.jobs, now=LATER) == 1
    refund = house.scene.decide(house.scene.add_charge())
    assert house.scene.execute(refund.decision_id).posting is not None
    return house


def check(house: House, *, whole: bool = True, note: bool = True, as_role: Connection[Any] | None = None) -> CheckReport:
    connection = as_role or house.jobs
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    with connection.transaction():
        report = run_check(connection, whole=whole, now=LATER, note=note)
    connection.isolation_level = None
    return report


def breaches(report: CheckReport) -> set[Breach]:
    return {one.finding for one in report.findings}


def account_of(house: House, code: str) -> int:
    row = house.admin.execute(
        "SELECT account FROM ledger.accounts WHERE code = %s AND currency = 'EUR' AND tenant_id = %s",
        [code, house.tenant.tenant_id],
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_sound_ledger_has_no_findings(house: House) -> None:
    report = check(house)
    assert (report.findings, report.whole, report.transfers) == ((), True, 12)


def test_an_auditor_can_check_and_notes_nothing(house: House) -> None:
    assert check(house, note=False, as_role=house.auditor).findings == ()
    assert find_last_check(house.jobs) is None


def test_a_check_needs_one_snapshot(house: House) -> None:
    with pytest.raises(NotOneSnapshot), house.jobs.transaction():
        run_check(house.jobs, whole=True, now=LATER)


def add_to_balance(house: House) -> None:
    house.damage(
        "ledger.accounts",
        "UPDATE ledger.accounts SET credits_posted_minor = credits_posted_minor + 1 WHERE code = "
        "'customer:bob' AND tenant_id = %s",
    )


def add_to_rolled_up(house: House) -> None:
    house.damage(
        "ledger.accounts",
        "UPDATE ledger.accounts SET debits_posted_minor = debits_posted_minor + 1 WHERE code = "
        "'house:bank:main' AND tenant_id = %s",
    )


def add_to_tail(house: House) -> None:
    house.damage(
        "ledger.tails",
        "INSERT INTO ledger.tails (account, debits_posted_minor, credits_posted_minor, debits_pending_minor, "
        "credits_pending_minor, entries, tenant_id) VALUES (%s, 1, 1, 0, 0, 0, %s)",
        account_of(house, BANK),
    )


def add_to_held(house: House) -> None:
    house.damage(
        "ledger.accounts",
        "UPDATE ledger.accounts SET credits_pending_minor = credits_pending_minor + 1 WHERE code = "
        "'customer:bob' AND tenant_id = %s",
    )


def add_to_version(house: House) -> None:
    house.damage(
        "ledger.accounts",
        "UPDATE ledger.accounts SET version = version + 1 WHERE code = 'customer:bob' AND tenant_id = %s",
    )


def shift_balance_after(house: House) -> None:
    house.damage(
        "ledger.transfers",
        "UPDATE ledger.transfers SET credit_balance_after_minor = credit_balance_after_minor + 1 WHERE "
        "credit_version = 1 AND credit_account = %s AND tenant_id = %s",
        account_of(house, PURSE),
    )


def skip_version(house: House) -> None:
    # The last entry of Bob, so that the one after it is none.
    house.damage(
        "ledger.transfers",
        "UPDATE ledger.transfers SET credit_version = credit_version + 1 WHERE credit_version = (SELECT "
        "version FROM ledger.accounts WHERE account = transfers.credit_account) AND credit_account = %s AND "
        "tenant_id = %s",
        account_of(house, BOB),
    )


def put_under_limit(house: House) -> None:
    # Carla was below zero once and is above it now; the account is told that this was never allowed.
    define_account(house.importer, "customer:carla", "EUR", now=NOW)
    house.must_post(make_request(debit="customer:carla", amount_minor=5))
    house.must_post(make_request(credit="customer:carla", amount_minor=9))
    house.damage(
        "ledger.accounts",
        "UPDATE ledger.accounts SET debits_must_not_exceed_credits = TRUE WHERE code = 'customer:carla' AND tenant_id = %s",
    )


def rename_currency(house: House) -> None:
    house.damage("ledger.accounts", "UPDATE ledger.accounts SET currency = 'USD' WHERE code = 'customer:bob' AND tenant_id = %s")


def copy_transfer(house: House) -> None:
    # Under an id of another month, so in another part, where no index sees that the versions are taken.
    house.damage(
        "ledger.transfers",
        "INSERT INTO ledger.transfers (transfer_id, decision_id, debit_account, credit_account, amount_minor,"
        " debit_version, credit_version,"
        " debit_balance_after_minor, credit_balance_after_minor, occurred_at, recorded_at, kind, code, tenant_id)"
        " SELECT %s, decision_id, debit_account, credit_account, amount_minor, debit_version, credit_version,"
        " debit_balance_after_minor,"
        " credit_balance_after_minor, occurred_at, recorded_at, kind, code, tenant_id FROM ledger.transfers "
        "WHERE kind = 1 AND code < 90"
        " AND debit_balance_after_minor IS NOT NULL AND credit_balance_after_minor IS NOT NULL AND tenant_id = %s",
        make_uuid7(datetime.now(UTC)),
    )


def remove_transfer(house: House) -> None:
    house.damage("ledger.transfers", "DELETE FROM ledger.transfers WHERE kind = 6 AND tenant_id = %s")


def change_hold(house: House) -> None:
    house.damage(
        "ledger.holds", "UPDATE ledger.holds SET posted_minor = posted_minor - 1 WHERE state = 'posted' AND tenant_id = %s"
    )


def reopen_hold(house: House) -> None:
    house.damage(
        "ledger.holds",
        "UPDATE ledger.holds SET state = 'pending', resolved_by = NULL, resolved_at = NULL WHERE state = "
        "'expired' AND tenant_id = %s",
    )


def invent_hold(house: House) -> None:
    house.damage(
        "ledger.holds",
        "INSERT INTO ledger.holds (transfer_id, amount_minor, opened_at, tenant_id) VALUES (%s, 5, NOW(), %s)",
        make_request().transfer_id,
    )


def understate_reversal(house: House) -> None:
    house.damage("ledger.reversals", "UPDATE ledger.reversals SET reversed_minor = reversed_minor - 1 WHERE tenant_id = %s")


def forget_reversal(house: House) -> None:
    house.damage("ledger.reversals", "DELETE FROM ledger.reversals WHERE tenant_id = %s")


def name_another_decision(house: House) -> None:
    house.damage(
        "ledger.transfers",
        "UPDATE ledger.transfers SET decision_id = %s WHERE kind = 6 AND tenant_id = %s",
        make_request().transfer_id,
    )


def take_another_refund(house: House) -> None:
    # A transfer under a refund's decision that is not the transfer that the decision names.
    house.damage(
        "ledger.transfers",
        "UPDATE ledger.transfers SET decision_id = (SELECT gate.uuid_of(decision_id) FROM gate.decisions "
        "WHERE transfer_id IS NOT NULL AND decisions.tenant_id = transfers.tenant_id) WHERE kind = 6 AND "
        "tenant_id = %s",
    )


def use_up_authorization(house: House) -> None:
    house.scene.decide(house.scene.add_charge())
    house.damage("gate.authorizations", "DELETE FROM gate.authorizations WHERE tenant_id = %s")


def lose_place(house: House) -> None:
    house.damage(
        "core.events_unsequenced",
        "DELETE FROM core.events_unsequenced WHERE event_id = (SELECT transfer_id FROM ledger.transfers WHERE"
        " kind = 6 AND tenant_id = events_unsequenced.tenant_id) AND tenant_id = %s",
    )


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (add_to_balance, {Breach.BALANCE_DIFFERS}),
        (add_to_rolled_up, {Breach.BALANCE_DIFFERS}),
        (add_to_tail, {Breach.BALANCE_DIFFERS}),
        (add_to_held, {Breach.BALANCE_DIFFERS}),
        (add_to_version, {Breach.BALANCE_DIFFERS}),
        (shift_balance_after, {Breach.BALANCE_CHAIN_BROKEN}),
        (skip_version, {Breach.VERSION_GAP}),
        (change_hold, {Breach.HOLD_DIFFERS}),
        (reopen_hold, {Breach.HOLD_DIFFERS}),
        (invent_hold, {Breach.HOLD_DIFFERS}),
        (understate_reversal, {Breach.REVERSAL_DIFFERS}),
        (forget_reversal, {Breach.REVERSAL_DIFFERS}),
        (name_another_decision, {Breach.DECISION_MISSING}),
        (take_another_refund, {Breach.DIFFERS_FROM_DECISION}),
        (use_up_authorization, {Breach.DECISION_WITHOUT_TRANSFER}),
        (lose_place, {Breach.PLACE_MISSING}),
        (put_under_limit, {Breach.LIMIT_BROKEN}),
        (rename_currency, {Breach.CURRENCY_NOT_ZERO}),
        (copy_transfer, {Breach.BALANCE_DIFFERS, Breach.VERSION_FORK, Breach.PLACE_MISSING}),
        (remove_transfer, {Breach.BALANCE_DIFFERS, Breach.VERSION_GAP, Breach.REVERSAL_DIFFERS}),
    ],
)
def test_planted_damage_is_found_and_nothing_else(house: House, plant: Callable[[House], None], expected: set[Breach]) -> None:
    plant(house)
    assert breaches(check(house)) == expected


def place_waiting(house: House) -> None:
    """Give waiting events their places, as the sequencer does."""
    with house.gate.transaction():
        first = next_position(house.gate)
        waiting = take_unsequenced(house.gate, 1000)
        placements = [Placement(first + n, one.event.event_id, bytes(32)) for n, one in enumerate(waiting)]
        record_positions(house.gate, placements, ordinals=[one.ordinal for one in waiting])


def test_a_check_of_what_is_recent_begins_where_the_last_one_stood(house: House) -> None:
    place_waiting(house)
    assert check(house, whole=False).whole  # There was none before it.
    assert check(house, whole=False).transfers == 0
    house.must_post(make_request(), make_request(credit=BANK))
    waiting = check(house, whole=False)
    place_waiting(house)
    placed = check(house, whole=False)
    assert [(one.whole, one.transfers, one.findings) for one in (waiting, placed)] == [(False, 2, ())] * 2
    assert check(house, whole=False).transfers == 0
    roll_up(house.jobs)
    assert check(house, whole=False).findings == ()


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (add_to_balance, {Breach.BALANCE_DIFFERS}),
        (add_to_rolled_up, {Breach.BALANCE_DIFFERS}),
        (add_to_tail, {Breach.BALANCE_DIFFERS}),
        (add_to_held, {Breach.BALANCE_DIFFERS}),
        (add_to_version, {Breach.BALANCE_DIFFERS}),
        (skip_version, {Breach.VERSION_GAP}),
        (use_up_authorization, {Breach.DECISION_WITHOUT_TRANSFER}),
    ],
)
def test_recent_damage_is_found_without_a_whole_check(
    house: House, plant: Callable[[House], None], expected: set[Breach]
) -> None:
    place_waiting(house)
    check(house)
    house.must_post(make_request(), make_request(debit=BANK))
    plant(house)
    report = check(house, whole=False)
    assert (breaches(report), report.whole) == (expected, False)


def test_a_breach_stops_the_account_and_opens_one_case_with_one_event(house: House) -> None:
    add_to_balance(house)
    report = check(house)
    with house.jobs.transaction():
        (incident,) = open_incidents(house.jobs, report)
    assert (incident.subject, incident.stopped) == (f"{BOB}/EUR", (f"{BOB}/EUR",))
    case = require_case(house.jobs, incident.case_id)
    assert (case.kind, case.state, case.facts["findings"][0]["finding"]) == ("ledger_incident", "open", "balance_differs")
    assert [result.code for result in house.post(make_request())] == [ResultCode.ACCOUNT_STOPPED]
    house.must_post(make_request(debit=BANK, credit=ALICE))
    report = check(house)
    with house.jobs.transaction():
        (again,) = open_incidents(house.jobs, report)
    assert (again.case_id, again.stopped) == (incident.case_id, ())
    told = house.jobs.execute(
        "SELECT data ->> 'subject' FROM core.events WHERE event_type = 'ledger.incident_opened' AND subject = %s",
        [incident.case_id],
    ).fetchall()
    assert told == [(f"{BOB}/EUR",)]


def test_a_breach_is_told_by_one_recent_check_and_by_every_whole_one(house: House) -> None:
    place_waiting(house)
    check(house)
    add_to_balance(house)
    assert [breaches(check(house, whole=False)) for _ in range(2)] == [{Breach.BALANCE_DIFFERS}, set()]
    assert [breaches(check(house)) for _ in range(2)] == [{Breach.BALANCE_DIFFERS}] * 2
    add_to_balance(house)
    assert breaches(check(house, whole=False)) == {Breach.BALANCE_DIFFERS}


def test_a_breach_of_a_transfer_stops_both_of_its_accounts(house: House) -> None:
    name_another_decision(house)
    report = check(house)
    with house.jobs.transaction():
        (incident,) = open_incidents(house.jobs, report)
    assert incident.subject.startswith("tfr_")
    assert set(incident.stopped) == {f"{ALICE}/EUR", f"{PURSE}/EUR"}


def test_one_tenant_never_sees_anothers_breach(house: House, other_tenant: Tenant, conn_as: ConnAs) -> None:
    add_to_balance(house)
    report = check(house, as_role=conn_as("jobs", other_tenant))
    assert (report.findings, report.transfers, report.accounts) == ((), 0, 0)
