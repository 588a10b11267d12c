"""Transfers lie in parts by month; a past month can leave, and everything goes on adding up."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection, IsolationLevel

from domain.errors import InvalidInput
from domain.ids import make_uuid7
from domain.transfer import ResultCode, TransferCode, TransferKind
from ledger.archive import (
    Archived,
    FolderNotWritable,
    InvalidMonth,
    MonthInUse,
    MonthNotFound,
    archive_month,
    drop_archived,
    parse_month,
)
from ledger.archive_file import ArchiveFileWrong
from ledger.balances import (
    BalanceArchived,
    find_balance_at,
    find_transfer,
    list_accounts,
    list_drift,
    list_entries,
    list_trial_balance,
)
from ledger.checks import CheckReport, run_check
from ledger.setup import MonthArchived, import_transfers
from ledger.upkeep import ensure_partitions, rebuild_balances, roll_up
from storage.events import Placement, next_position, record_positions, take_unsequenced
from tests.conftest import Cluster, ConnAs, Database, Tenant, clone_template
from tests.integration.ledger.house import ALICE, BANK, BOB, NOW, House, make_answer, make_hold, make_request


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> Iterator[Database]:
    """A database without the transfers of other tests: an id made by chance may fall into a month and keep its part from it."""
    with clone_template(cluster) as own:
        yield own


@pytest.fixture
def house(tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> House:
    house = House(tenant, conn_as, admin_conn)
    house.open_accounts()
    return house


def part_of(house: House, transfer_id: Any) -> str:
    row = house.admin.execute(
        "SELECT tableoid::REGCLASS::TEXT FROM ledger.transfers WHERE transfer_id = %s", [transfer_id]
    ).fetchone()
    assert row is not None
    return str(row[0])


def old(month: date, day: int) -> datetime:
    return datetime(month.year, month.month, day, 12, tzinfo=UTC)


def fill(house: House, month: date) -> dict[str, Any]:
    """Move money in a month of long ago: a posting, a hold that is posted the month after, one that is reversed later."""
    ensure_partitions(house.jobs, now=old(month, 1), months=0)
    for request in (
        make_request(debit=BANK, credit=ALICE, amount_minor=1_000, code=TransferCode.IMPORT, occurred_at=old(month, 2)),
        make_request(amount_minor=30, code=TransferCode.IMPORT, occurred_at=old(month, 3)),
    ):
        (result,) = import_transfers(house.importer, [request], now=request.occurred_at)
        assert result.code is ResultCode.ACCEPTED
    hold, moved = make_hold(amount_minor=70, occurred_at=old(month, 4)), make_request(amount_minor=8, occurred_at=old(month, 5))
    house.must_post(hold, moved)
    house.must_post(make_answer(hold, TransferKind.POST, amount_minor=50))
    house.must_post(make_request(amount_minor=1))
    return {"hold": hold, "moved": moved, "imported": request}


def place_waiting(house: House) -> None:
    with house.gate.transaction():
        first, waiting = next_position(house.gate), take_unsequenced(house.gate, 1000)
        placements = [Placement(first + n, one.event.event_id, bytes(32)) for n, one in enumerate(waiting)]
        record_positions(house.gate, placements, ordinals=[one.ordinal for one in waiting])


def archive(house: House, month: date, folder: Path) -> Archived:
    return archive_month(
        house.admin,
        month,
        folder,
        archived_by="opr_ada",
        mint_jobs_context=lambda tenant_id: Tenant(tenant_id, house.tenant.context_key).context("jobs"),
        now=NOW,
    )


def check(house: House) -> CheckReport:
    house.jobs.isolation_level = IsolationLevel.REPEATABLE_READ
    with house.jobs.transaction():
        report = run_check(house.jobs, whole=True, now=NOW)
    house.jobs.isolation_level = None
    return report


def test_a_transfer_lies_in_the_part_of_its_ids_month(house: House) -> None:
    month = date(2018, 1, 1)
    assert ensure_partitions(house.jobs, now=old(month, 31), months=1) == 2
    assert ensure_partitions(house.jobs, now=old(month, 31), months=1) == 0
    lies = {}
    for at in (
        datetime(2018, 1, 1, tzinfo=UTC),
        datetime(2018, 2, 1, tzinfo=UTC) - timedelta(milliseconds=1),
        datetime(2018, 2, 1, tzinfo=UTC),
    ):
        lies[at] = part_of(house, house.bring_in(ALICE, 5, occurred_at=at).transfer_id)
    assert list(lies.values()) == ["ledger.transfers_2018_01", "ledger.transfers_2018_01", "ledger.transfers_2018_02"]
    assert (
        part_of(house, house.bring_in(ALICE, 5, transfer_id=UUID("2f1e7a4c-6f0f-4d0e-9c55-0a54c9f0a111")).transfer_id)
        == "ledger.transfers_other"
    )


def test_a_month_with_ids_before_its_time_keeps_no_other_month_from_its_part(house: House) -> None:
    early = house.bring_in(ALICE, 5, transfer_id=make_uuid7(datetime(2017, 2, 3, tzinfo=UTC)))
    assert ensure_partitions(house.jobs, now=datetime(2017, 1, 1, tzinfo=UTC), months=2) == 2
    assert part_of(house, early.transfer_id) == "ledger.transfers_other"
    march = house.bring_in(ALICE, 5, transfer_id=make_uuid7(datetime(2017, 3, 3, tzinfo=UTC)))
    assert part_of(house, march.transfer_id) == "ledger.transfers_2017_03"


@pytest.mark.parametrize("months", [-1, 25])
def test_parts_are_made_a_sensible_time_ahead(house: House, months: int) -> None:
    with pytest.raises(InvalidInput):
        ensure_partitions(house.jobs, now=NOW, months=months)


def test_a_new_part_has_every_guard(house: House) -> None:
    ensure_partitions(house.jobs, now=old(date(2018, 5, 1), 1), months=0)
    house.bring_in(ALICE, 5, occurred_at=old(date(2018, 5, 1), 2))
    for statement in (
        "UPDATE ledger.transfers_2018_05 SET amount_minor = 1",
        "DELETE FROM ledger.transfers_2018_05",
        "TRUNCATE ledger.transfers_2018_05",
        "INSERT INTO ledger.transfers_2018_05 SELECT * FROM ledger.transfers_2018_05",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            house.admin.execute(statement)


def test_an_archived_month_is_in_its_file_and_everything_goes_on_adding_up(house: House, tmp_path: Path) -> None:
    month = date(2018, 7, 1)
    made = fill(house, month)
    roll_up(house.jobs)
    place_waiting(house)
    accounts, trial = list_accounts(house.auditor), list_trial_balance(house.auditor)
    done = archive(house, month, tmp_path)
    assert (done.month, done.transfers, done.file.name) == ("2018-07", 4, "transfers_2018_07.csv.gz")
    text = gzip.decompress(done.file.read_bytes()).decode()
    assert text.count("\n") == 5
    assert str(made["moved"].transfer_id) in text
    manifest = json.loads((tmp_path / "transfers_2018_07.json").read_text())
    assert (manifest["sha256"], manifest["shares"][0]["transfers"]) == (done.sha256, 4)
    assert (list_accounts(house.auditor), list_trial_balance(house.auditor), list_drift(house.auditor)) == (accounts, trial, [])
    assert check(house).findings == ()
    house.importer.isolation_level = IsolationLevel.REPEATABLE_READ
    with house.importer.transaction():
        rebuilt = rebuild_balances(house.importer, apply=False, now=NOW)
    house.importer.isolation_level = None
    assert (rebuilt.differing, rebuilt.hash_before == rebuilt.hash_rebuilt) == (0, True)
    assert find_transfer(house.auditor, made["moved"].transfer_id) is None
    assert [line.balance_after_minor for line in list_entries(house.auditor, ALICE, "EUR")] == [912, 911]
    told = house.jobs.execute("SELECT data ->> 'month' FROM core.events WHERE event_type = 'ledger.month_archived'").fetchall()
    assert told == [("2018-07",)]


def test_damage_after_an_archive_is_still_found(house: House, tmp_path: Path) -> None:
    month = date(2018, 8, 1)
    fill(house, month)
    place_waiting(house)
    archive(house, month, tmp_path)
    house.damage(
        "ledger.accounts",
        "UPDATE ledger.accounts SET credits_posted_minor = credits_posted_minor + 1 WHERE code = "
        "'customer:bob' AND tenant_id = %s",
    )
    assert [one.finding.value for one in check(house).findings] == ["balance_differs"]


def test_what_is_archived_can_be_neither_repeated_nor_reversed(house: House, tmp_path: Path) -> None:
    month = date(2018, 9, 1)
    made = fill(house, month)
    place_waiting(house)
    archive(house, month, tmp_path)
    with pytest.raises(MonthArchived):
        import_transfers(house.importer, [made["imported"]], now=NOW)
    back = make_answer(made["moved"], TransferKind.REVERSE)
    assert [one.code for one in house.post(back)] == [ResultCode.TARGET_NOT_FOUND]


def test_a_balance_of_an_archived_time_is_refused(house: House, tmp_path: Path) -> None:
    month = date(2018, 10, 1)
    fill(house, month)
    place_waiting(house)
    before = find_balance_at(house.auditor, BOB, "EUR", NOW)
    archive(house, month, tmp_path)
    assert find_balance_at(house.auditor, BOB, "EUR", NOW) == before
    with pytest.raises(BalanceArchived):
        find_balance_at(house.auditor, BOB, "EUR", old(month, 2))


def test_a_month_with_something_open_stays(house: House, tmp_path: Path) -> None:
    month = date(2018, 11, 1)
    fill(house, month)
    with pytest.raises(MonthInUse, match="4 transfers"):
        archive(house, month, tmp_path)
    place_waiting(house)
    hold = make_hold(occurred_at=old(month, 9))
    house.must_post(hold)
    place_waiting(house)
    with pytest.raises(MonthInUse, match="1 open holds"):
        archive(house, month, tmp_path)
    assert list(tmp_path.iterdir()) == []
    house.must_post(make_answer(hold, TransferKind.VOID))
    assert archive(house, month, tmp_path).transfers == 5


def test_months_that_cannot_be_archived(house: House, tmp_path: Path) -> None:
    with pytest.raises(InvalidMonth):
        archive(house, NOW.date(), tmp_path)
    with pytest.raises(InvalidMonth):
        archive(house, date(2030, 1, 1), tmp_path)
    with pytest.raises(MonthNotFound):
        archive(house, date(2016, 1, 1), tmp_path)
    for text in ("2018", "2018-13", "18-01", "2018-01-01", ""):
        with pytest.raises(InvalidMonth):
            parse_month(text)


def test_a_file_is_never_written_over_and_a_folder_must_be_there(house: House, tmp_path: Path) -> None:
    month = date(2018, 12, 1)
    fill(house, month)
    place_waiting(house)
    with pytest.raises(FolderNotWritable):
        archive(house, month, tmp_path / "missing")
    taken = tmp_path / "transfers_2018_12.csv.gz"
    taken.write_text("something else")
    with pytest.raises(FolderNotWritable):
        archive(house, month, tmp_path)
    assert taken.read_text() == "something else"
    assert check(house).transfers == 6


def test_a_part_is_dropped_only_when_its_file_is_whole(house: House, tmp_path: Path) -> None:
    month = date(2019, 1, 1)
    fill(house, month)
    place_waiting(house)
    with pytest.raises(MonthNotFound):
        drop_archived(house.admin, month, tmp_path)
    done = archive(house, month, tmp_path)
    content = bytearray(done.file.read_bytes())
    content[-9] ^= 1
    done.file.write_bytes(bytes(content))
    with pytest.raises(ArchiveFileWrong):
        drop_archived(house.admin, month, tmp_path)
    content[-9] ^= 1
    done.file.write_bytes(bytes(content))
    assert house.auditor.execute("SELECT COUNT(*) FROM archive.transfers_2019_01").fetchone() == (4,)
    assert drop_archived(house.admin, month, tmp_path).dropped
    assert check(house).findings == ()


def test_an_archived_part_is_one_tenants_to_an_auditor(
    house: House, other_tenant: Tenant, conn_as: ConnAs, tmp_path: Path
) -> None:
    month = date(2019, 2, 1)
    fill(house, month)
    place_waiting(house)
    archive(house, month, tmp_path)
    assert conn_as("auditor", other_tenant).execute("SELECT COUNT(*) FROM archive.transfers_2019_02").fetchone() == (0,)


def test_nobody_but_an_administrator_archives(house: House, tmp_path: Path) -> None:
    month = date(2019, 3, 1)
    fill(house, month)
    place_waiting(house)
    for connection in (house.jobs, house.importer):
        with pytest.raises(InvalidInput, match="administrator"):
            archive_month(connection, month, tmp_path, archived_by="x", mint_jobs_context=str, now=NOW)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        house.jobs.execute("SELECT ledger.tell_of_archive('2019-03-01', 4, REPEAT('0', 64), 'x', NOW())")
