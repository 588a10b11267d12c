"""The batching writer on the real database: everyone his own answer, whatever happens to connection, writer or neighbour."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from domain.errors import Unavailable
from domain.transfer import MAX_BATCH, ResultCode, TransferRequest, TransferResult
from domain.transfer_input import InvalidTransfer
from gates import batching
from gates.batching import BatchWriter, Outcome, WriterFenced, WriterOverloaded, WriterStopped, resolve
from gates.execution import execute_transfers
from ledger.port import BatchTooLarge
from storage.embedded import EmbeddedPostgres
from storage.pools import Pool, open_pool
from storage.roles import LoginRole
from storage.setup import set_up_database
from storage.tenancy import clear_session_context, read_context_key
from storage.unit_of_work import CommitUnknown, DatabaseUnavailable
from tests.conftest import Cluster, ConnAs, Database, Tenant
from tests.integration.ledger.house import BOB, NOW, PURSE, House, make_request

ACCEPTED, ALREADY = ResultCode.ACCEPTED, ResultCode.ALREADY_ACCEPTED
_WAIT_S = 30
GIVE_UP = timedelta(milliseconds=300)


@dataclass(slots=True)
class Desk:
    """A house with a writer in front of it. `held` keeps the writer's calls back till it is set, so that a batch gathers."""

    house: House
    database: Database
    admin: Connection[Any]
    monkeypatch: pytest.MonkeyPatch
    pools: list[Pool] = field(default_factory=list)
    writers: list[BatchWriter] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    before: Callable[[Connection[Any]], None] | None = None
    after: Callable[[Connection[Any]], None] | None = None

    def __post_init__(self) -> None:
        self.held.set()
        self.monkeypatch.setattr(batching, "execute_transfers", self._execute)

    def _execute(self, connection: Connection[Any], requests: Sequence[TransferRequest], **named: Any) -> list[TransferResult]:
        self.calls.append(len(requests))
        self.entered.set()
        assert self.held.wait(_WAIT_S)
        if self.before is not None:
            self.before(connection)
        results = execute_transfers(connection, requests, **named)
        if self.after is not None:
            self.after(connection)
        return results

    def open_writer(self, **options: Any) -> BatchWriter:
        """A writer with a pool of its own, started."""
        pool = open_pool(self.database.dsn("executor"), name="test-writer", max_size=1)
        mint = options.pop("mint", lambda: self.house.tenant.context("executor"))
        writer = BatchWriter(pool, mint, now=options.pop("now", lambda: NOW), **options)
        self.pools.append(pool)
        self.writers.append(writer)
        writer.start()
        return writer

    def hold_back(self, writer: BatchWriter) -> Future[list[TransferResult]]:
        """Occupy the writer with one request, till `held` is set."""
        self.held.clear()
        self.entered.clear()
        first = writer.submit(self.allow())
        assert self.entered.wait(_WAIT_S)
        return first

    def allow(self, *requests: TransferRequest) -> list[TransferRequest]:
        """Have requests allowed; without any, one from Alice to Bob."""
        chosen = list(requests) or [make_request()]
        self.house.allow(*chosen)
        return chosen

    def transfers(self) -> int:
        row = self.admin.execute(
            "SELECT COUNT(*) FROM ledger.transfers WHERE tenant_id = %s", [self.house.tenant.tenant_id]
        ).fetchone()
        assert row is not None
        return int(row[0])

    def writer_backends(self) -> list[int]:
        rows = self.admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'tellergate-test-writer' AND datname = %s",
            [self.database.address.dbname],
        )
        return [row[0] for row in rows]

    def cut(self) -> None:
        """Cut every connection of the writers, and see them gone."""
        pids = self.writer_backends()
        self.admin.execute("SELECT pg_terminate_backend(pid, 10000) FROM unnest(%s::int[]) AS gone (pid)", [pids])

    def close(self) -> None:
        self.held.set()
        for writer in self.writers:
            writer.stop()
        for pool in self.pools:
            pool.close()


@pytest.fixture
def desk(
    tenant: Tenant, database: Database, conn_as: ConnAs, admin_conn: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    house = House(tenant, conn_as, admin_conn)
    house.open_accounts()
    desk = Desk(house, database, admin_conn, monkeypatch)
    yield desk
    desk.close()


def codes_of(future: Future[list[TransferResult]]) -> list[ResultCode]:
    return [answer.code for answer in future.result(_WAIT_S)]


def once(act: Callable[[], None]) -> Callable[[Connection[Any]], None]:
    """Do it at the first call only."""
    left = [act]

    def do(_: Connection[Any]) -> None:
        if left:
            left.pop()()

    return do


def test_many_callers_get_their_own_answers_from_few_calls(desk: Desk) -> None:
    writer = desk.open_writer()
    first = desk.hold_back(writer)
    amounts = range(1, 201)
    asked = {amount: desk.allow(make_request(amount_minor=amount))[0] for amount in amounts}
    futures: dict[int, Future[list[TransferResult]]] = {}
    threads = [
        threading.Thread(target=lambda part: futures.update({one: writer.submit([asked[one]]) for one in part}), args=[part])
        for part in (amounts[::4], amounts[1::4], amounts[2::4], amounts[3::4])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.held.set()
    assert codes_of(first) == [ACCEPTED]
    for amount, future in futures.items():
        (answer,) = future.result(_WAIT_S)
        assert (answer.transfer_id, answer.code, answer.amount_minor) == (asked[amount].transfer_id, ACCEPTED, amount)
    assert desk.calls == [1, 200]
    assert desk.transfers() == 201


def test_a_chain_stays_together_and_its_neighbours_stay_out_of_it(desk: Desk) -> None:
    writer = desk.open_writer()
    desk.hold_back(writer)
    chain = desk.allow(
        make_request(linked=True),
        make_request(linked=True, debit=BOB, credit=PURSE),
        make_request(debit=PURSE, amount_minor=10**9),
    )
    before, behind = desk.allow(make_request()), desk.allow(make_request())
    futures = [writer.submit(unit) for unit in (before, chain, behind)]
    desk.held.set()
    assert [codes_of(future) for future in futures] == [
        [ACCEPTED],
        [ResultCode.LINKED_FAILED, ResultCode.LINKED_FAILED, ResultCode.LIMIT_EXCEEDED],
        [ACCEPTED],
    ]


def test_a_chain_cut_short_does_not_swallow_the_next_caller(desk: Desk) -> None:
    writer = desk.open_writer()
    desk.hold_back(writer)
    cut_short = desk.allow(make_request(linked=True), make_request(linked=True))
    neighbour = desk.allow()
    futures = [writer.submit(unit) for unit in (cut_short, neighbour)]
    desk.held.set()
    assert codes_of(futures[0]) == [ResultCode.LINKED_FAILED, ResultCode.CHAIN_OPEN]
    assert codes_of(futures[1]) == [ACCEPTED]


@pytest.mark.parametrize("changes", [{"amount_minor": 2**63}, {"debit": "customer:\0"}, {"credit": "customer:\ud800"}])
def test_a_malformed_request_fails_alone(desk: Desk, changes: dict[str, Any]) -> None:
    writer = desk.open_writer()
    desk.hold_back(writer)
    good = [desk.allow()[0] for _ in range(20)]
    malformed = replace(make_request(), **changes)
    futures = [writer.submit([request]) for request in (*good[:7], malformed, *good[7:])]
    desk.held.set()
    assert [codes_of(future) for place, future in enumerate(futures) if place != 7] == [[ACCEPTED]] * 20
    # Refused by the ledger or by the driver: it is this caller's own fault, and his alone.
    heard = futures[7].exception(_WAIT_S)
    assert heard is not None or codes_of(futures[7]) == [ResultCode.AMOUNT_OUT_OF_RANGE]
    assert not isinstance(heard, Unavailable)
    assert desk.transfers() == 21
    # Halving finds one among 21 in a few calls, not in 21.
    assert len(desk.calls) < 16


@pytest.mark.parametrize(
    "changes", [{"amount_minor": "ten"}, {"amount_minor": 1.5}, {"amount_minor": None}, {"currency": None}, {"kind": "gift"}]
)
def test_a_value_of_another_type_never_gets_into_a_batch(desk: Desk, changes: dict[str, Any]) -> None:
    writer = desk.open_writer()
    with pytest.raises(InvalidTransfer, match=r"requests\[1\]"):
        writer.submit([replace(make_request(), linked=True), replace(make_request(), **changes)])
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]
    assert desk.calls == [1]


@pytest.mark.parametrize("count", [0, MAX_BATCH + 1])
def test_a_unit_of_no_size_is_refused_at_once(desk: Desk, count: int) -> None:
    writer = desk.open_writer()
    with pytest.raises(BatchTooLarge):
        writer.submit([make_request()] * count)
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]


def test_a_batch_is_never_larger_than_the_ledger_takes(desk: Desk) -> None:
    writer = desk.open_writer()
    desk.hold_back(writer)
    unit = [make_request() for _ in range(MAX_BATCH // 2 + 1)]
    futures = [writer.submit(unit), writer.submit(unit)]
    desk.held.set()
    for future in futures:
        assert set(codes_of(future)) == {ResultCode.NOT_AUTHORIZED}
    assert desk.calls == [1, len(unit), len(unit)]


def test_overload_is_said_before_anything_is_taken(desk: Desk) -> None:
    writer = desk.open_writer(max_waiting=3)
    first = desk.hold_back(writer)
    waiting = [writer.submit(desk.allow()) for _ in range(3)]
    extra = desk.allow()
    with pytest.raises(WriterOverloaded):
        writer.submit(extra)
    desk.held.set()
    assert [codes_of(future) for future in (first, *waiting)] == [[ACCEPTED]] * 4
    assert codes_of(writer.submit(extra)) == [ACCEPTED]


def test_stop_writes_what_waits_and_takes_nothing_more(desk: Desk) -> None:
    writer = desk.open_writer()
    desk.hold_back(writer)
    waiting = [writer.submit(desk.allow()) for _ in range(5)]
    stopping = stop_in_background(writer)
    desk.held.set()
    stopping.join(_WAIT_S)
    assert [codes_of(future) for future in waiting] == [[ACCEPTED]] * 5
    assert isinstance(writer.ended, WriterStopped)
    with pytest.raises(WriterStopped):
        writer.submit(desk.allow())
    writer.stop()


def test_a_writer_that_stops_sends_a_lost_batch_again(desk: Desk) -> None:
    writer = desk.open_writer()
    first = desk.hold_back(writer)
    waiting = writer.submit(desk.allow())
    stopping = stop_in_background(writer)
    desk.before = once(desk.cut)
    desk.held.set()
    stopping.join(_WAIT_S)
    assert [codes_of(first), codes_of(waiting)] == [[ACCEPTED]] * 2


def stop_in_background(writer: BatchWriter) -> threading.Thread:
    """Return once the writer takes nothing more; what it took till then is asked for nothing."""
    stopping = threading.Thread(target=writer.stop)
    stopping.start()
    with suppress(WriterStopped):
        while True:
            writer.submit([make_request()])
            time.sleep(0.001)
    return stopping


def test_a_writer_that_never_ran_answers_when_it_is_stopped(desk: Desk) -> None:
    pool = open_pool(desk.database.dsn("executor"), name="test-writer", max_size=1)
    desk.pools.append(pool)
    writer = BatchWriter(pool, lambda: desk.house.tenant.context("executor"), now=lambda: NOW)
    future = writer.submit(desk.allow())
    writer.stop()
    with pytest.raises(WriterStopped):
        future.result(_WAIT_S)
    assert desk.transfers() == 0


def test_a_second_writer_fences_the_first_one_off(desk: Desk) -> None:
    old = desk.open_writer()
    assert codes_of(old.submit(desk.allow())) == [ACCEPTED]
    desk.hold_back(old)
    units = [desk.allow() for _ in range(3)]
    waiting = [old.submit(unit) for unit in units]
    desk.held.set()
    new = desk.open_writer()
    # Which of the two comes first is a race; what is asked of the old one after the new one has answered is not.
    assert codes_of(new.submit(desk.allow())) == [ACCEPTED]
    unit = desk.allow()
    with pytest.raises(WriterFenced):
        old.submit(unit).result(_WAIT_S)
    assert isinstance(old.ended, WriterFenced)
    with pytest.raises(WriterFenced):
        old.submit(unit)
    for future, again in zip(waiting, units, strict=True):
        heard = future.exception(_WAIT_S)
        assert heard is None or isinstance(heard, WriterFenced)
        assert codes_of(new.submit(again)) == [ACCEPTED if heard else ALREADY]
    assert codes_of(new.submit(unit)) == [ACCEPTED]
    assert desk.transfers() == 7


def test_the_fenced_callers_were_told_the_truth_and_nothing_is_doubled(desk: Desk) -> None:
    old = desk.open_writer()
    first = desk.hold_back(old)
    units = [desk.allow() for _ in range(3)]
    waiting = [old.submit(unit) for unit in units]
    # The old one is held back in front of its call while the new one claims.
    held, desk.held = desk.held, threading.Event()
    desk.held.set()
    new = desk.open_writer()
    assert codes_of(new.submit(desk.allow())) == [ACCEPTED]
    held.set()
    for future in (first, *waiting):
        with pytest.raises(WriterFenced):
            future.result(_WAIT_S)
    assert desk.transfers() == 1
    assert [codes_of(new.submit(unit)) for unit in units] == [[ACCEPTED]] * 3


def test_a_batch_that_never_arrived_is_sent_again(desk: Desk) -> None:
    writer = desk.open_writer()
    desk.before = once(desk.cut)
    future = writer.submit(desk.allow())
    assert codes_of(future) == [ACCEPTED]
    assert desk.calls == [1, 1]
    assert desk.transfers() == 1


def test_a_batch_that_landed_answers_as_done_when_it_is_sent_again(desk: Desk) -> None:
    writer = desk.open_writer()

    def lose_answer() -> None:
        desk.cut()
        raise psycopg.OperationalError("the answer was lost")

    desk.after = once(lose_answer)
    (request,) = desk.allow(make_request(amount_minor=77))
    (answer,) = writer.submit([request]).result(_WAIT_S)
    assert (answer.code, answer.amount_minor, answer.debit_version) == (ALREADY, 77, 1)
    assert desk.transfers() == 1


def test_a_lost_answer_and_a_successor_is_no_word_that_nothing_moved(desk: Desk) -> None:
    old = desk.open_writer()
    successor: list[BatchWriter] = []

    def lose_answer_to_successor() -> None:
        desk.cut()
        successor.append(desk.open_writer())
        assert codes_of(successor[0].submit(desk.allow())) == [ACCEPTED]
        raise psycopg.OperationalError("the answer was lost")

    desk.after = once(lose_answer_to_successor)
    unit = desk.allow()
    with pytest.raises(CommitUnknown):
        old.submit(unit).result(_WAIT_S)
    assert isinstance(old.ended, WriterFenced)
    assert codes_of(successor[0].submit(unit)) == [ALREADY]


def test_a_connection_that_died_while_the_writer_slept_is_replaced(desk: Desk) -> None:
    writer = desk.open_writer()
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]
    desk.cut()
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]


def test_giving_up_says_unknown_for_what_was_sent_and_a_later_retry_is_right(desk: Desk) -> None:
    writer = desk.open_writer(give_up=GIVE_UP)
    landed = [False]

    def keep_losing(_: Connection[Any]) -> None:
        landed[0] = True
        raise psycopg.OperationalError("the answer was lost")

    desk.after = keep_losing
    unit = desk.allow()
    with pytest.raises(CommitUnknown):
        writer.submit(unit).result(_WAIT_S)
    assert landed[0]
    desk.after = None
    assert codes_of(writer.submit(unit)) == [ALREADY]
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]
    assert desk.transfers() == 2


def test_a_request_that_was_never_sent_hears_that_nothing_moved(desk: Desk) -> None:
    writer = desk.open_writer(give_up=GIVE_UP)
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]
    desk.hold_back(writer)
    waiting = writer.submit(desk.allow())
    # This worker's database only: a role is the whole cluster's, and other tests log in as it.
    database = sql.Identifier(desk.admin.info.dbname)
    desk.admin.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM executor").format(database))
    try:
        desk.before = once(desk.cut)
        desk.held.set()
        with pytest.raises(DatabaseUnavailable):
            waiting.result(_WAIT_S * 2)
    finally:
        desk.admin.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO executor").format(database))
    assert desk.transfers() == 1
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]


def test_a_lock_that_does_not_come_is_waited_for_and_then_told(desk: Desk) -> None:
    writer = desk.open_writer(give_up=timedelta(0))
    with psycopg.connect(desk.database.admin_dsn()) as holder:
        holder.execute("SELECT FROM ledger.accounts WHERE tenant_id = %s FOR UPDATE", [desk.house.tenant.tenant_id])
        unit = desk.allow()
        with pytest.raises(DatabaseUnavailable):
            writer.submit(unit).result(_WAIT_S)
        assert desk.transfers() == 0
    assert codes_of(writer.submit(unit)) == [ACCEPTED]


def test_a_batch_that_takes_too_long_is_halved(desk: Desk) -> None:
    writer = desk.open_writer()
    desk.hold_back(writer)
    futures = [writer.submit(desk.allow()) for _ in range(8)]

    def cancel_large(_: Connection[Any]) -> None:
        if desk.calls[-1] > 2:
            raise psycopg.errors.QueryCanceled

    desk.before = cancel_large
    desk.held.set()
    assert [codes_of(future) for future in futures] == [[ACCEPTED]] * 8
    assert max(desk.calls[3:]) <= 4


def test_a_context_that_expired_while_the_writer_slept_is_renewed(desk: Desk) -> None:
    lifetimes = iter([timedelta(seconds=1)])
    minted: list[datetime] = []

    def mint() -> str:
        lifetime = next(lifetimes, timedelta(minutes=10))
        minted.append(datetime.now(UTC) + lifetime)
        return desk.house.tenant.context("executor", lifetime=lifetime)

    writer = desk.open_writer(mint=mint)
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]
    desk.admin.execute("SELECT pg_sleep(GREATEST(EXTRACT(EPOCH FROM %s - clock_timestamp()) + 0.1, 0))", [minted[0]])
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]
    assert len(minted) == 2


def test_a_context_of_a_role_that_may_not_is_heard_by_the_caller(desk: Desk) -> None:
    contexts = iter([desk.house.tenant.context("executor", lifetime=timedelta(minutes=1))])
    writer = desk.open_writer(mint=lambda: next(contexts, desk.house.tenant.context("gate")))
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]
    desk.before = clear_session_context
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.submit(desk.allow()).result(_WAIT_S)


def test_the_connection_goes_back_without_a_trace_of_the_tenant(desk: Desk) -> None:
    writer = desk.open_writer()
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]
    (pid,) = desk.writer_backends()
    writer.stop()
    with desk.pools[0].connection() as connection:
        assert connection.info.backend_pid == pid
        assert not connection.autocommit
        row = connection.execute("SELECT current_setting('tellergate.context', TRUE)").fetchone()
        assert row == ("",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT core.current_tenant()")


async def test_an_event_loop_is_woken_once_a_batch(desk: Desk) -> None:
    loop = asyncio.get_running_loop()
    handed_over: list[int] = []

    def deliver(outcomes: Sequence[Outcome]) -> None:
        handed_over.append(len(outcomes))
        loop.call_soon_threadsafe(resolve, outcomes)

    writer = desk.open_writer(deliver=deliver)
    first = desk.hold_back(writer)
    waiting = [writer.submit(desk.allow()) for _ in range(10)]
    desk.held.set()
    answers = await asyncio.gather(*(asyncio.wrap_future(future) for future in (first, *waiting)))
    assert [answer.code for unit in answers for answer in unit] == [ACCEPTED] * 11
    assert handed_over == [1, 10]


def test_a_future_that_could_be_cancelled_was_not_sent(desk: Desk) -> None:
    writer = desk.open_writer()
    first = desk.hold_back(writer)
    cancelled, kept = writer.submit(desk.allow()), writer.submit(desk.allow())
    assert cancelled.cancel()
    assert not first.cancel()
    desk.held.set()
    assert [codes_of(first), codes_of(kept)] == [[ACCEPTED]] * 2
    with pytest.raises(CancelledError):
        cancelled.result(_WAIT_S)
    assert desk.transfers() == 2
    desk.hold_back(writer)
    only = writer.submit(desk.allow())
    assert only.cancel()
    desk.held.set()
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]


def test_a_fault_of_the_writer_itself_is_heard_by_everyone(desk: Desk) -> None:
    times = iter([NOW, NOW])
    writer = desk.open_writer(now=lambda: next(times))
    first = desk.hold_back(writer)
    waiting = [writer.submit(desk.allow()) for _ in range(3)]
    desk.before = once(lambda: desk.monkeypatch.setattr(writer, "_hand_out", None))
    desk.held.set()
    # It was being written when the fault struck.
    with pytest.raises(CommitUnknown):
        first.result(_WAIT_S)
    for future in waiting:
        with pytest.raises(WriterStopped):
            future.result(_WAIT_S)
    with pytest.raises(WriterStopped):
        writer.submit(desk.allow())


def test_a_broken_way_to_the_callers_still_gets_them_their_answers(desk: Desk) -> None:
    def deliver(_: Sequence[Outcome]) -> None:
        raise RuntimeError("the event loop is closed")

    writer = desk.open_writer(deliver=deliver)
    assert codes_of(writer.submit(desk.allow())) == [ACCEPTED]
    writer.stop()
    assert isinstance(writer.ended, WriterStopped)


def test_a_mint_that_fails_does_not_leave_callers_waiting(desk: Desk) -> None:
    def mint() -> str:
        raise OSError("no key")

    writer = desk.open_writer(mint=mint)
    try:
        future = writer.submit(desk.allow())
    except WriterStopped:
        return
    with pytest.raises(WriterStopped):
        future.result(_WAIT_S)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_server_that_is_restarted_in_mid_batch(own_folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    secrets_dir, arrived, restarted = own_folder / "secrets", threading.Event(), threading.Event()
    server = EmbeddedPostgres(home=own_folder / "postgres", secrets_dir=secrets_dir)
    address = server.start().with_dbname("tellergate")
    try:
        admin_dsn = server.admin_dsn(address.dbname)
        set_up_database(maintenance_dsn=server.admin_dsn(), admin_dsn=admin_dsn, dbname=address.dbname, secrets_dir=secrets_dir)
        database = Database(Cluster(server.address, secrets_dir), address, read_context_key(secrets_dir))
        with ExitStack() as connections:
            house = House(Tenant("t-restart", database.context_key), connect_to(database, connections), connections.enter_context(
                psycopg.connect(admin_dsn, autocommit=True)
            ))  # fmt: skip
            house.open_accounts()
            desk = Desk(house, database, house.admin, monkeypatch)
            unit = desk.allow(make_request(linked=True), make_request(debit=BOB, credit=PURSE))

            def wait_for_restart() -> None:
                arrived.set()
                assert restarted.wait(_WAIT_S * 2)

            setattr(desk, moment, once(wait_for_restart))
            future = desk.open_writer().submit(unit)
            assert arrived.wait(_WAIT_S)
            server.stop()
            server.start()
            restarted.set()
            # What had been answered before the restart stays answered; what had not is asked again.
            assert codes_of(future) == [ACCEPTED] * 2
            assert len(desk.calls) == (2 if moment == "before" else 1)
            desk.close()
        with psycopg.connect(admin_dsn) as admin:
            assert admin.execute("SELECT COUNT(*) FROM ledger.transfers").fetchone() == (2,)
    finally:
        server.stop()


def connect_to(database: Database, connections: ExitStack) -> ConnAs:
    """What the fixture `conn_as` does, on a server of the test's own."""

    def connect(role: LoginRole, tenant: Tenant) -> Connection[Any]:
        connection = connections.enter_context(psycopg.connect(database.dsn(role), autocommit=True))
        connection.execute("SELECT set_config('tellergate.context', %s, FALSE)", [tenant.context(role)])
        return connection

    return connect
