"""Two or more sessions at once: one id once, no deadlock, no overdraft, and the second sees what the first did."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from domain.transfer import Balancing, ResultCode, TransferCode, TransferKind, TransferRequest, TransferResult
from ledger.posting import claim_writer, post_transfer, post_transfers
from ledger.setup import close_account, define_account
from ledger.transfer_digest import derive_transfer_id
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.ledger.books import find_faults
from tests.integration.ledger.house import ALICE, BANK, BOB, NOW, PURSE, House, make_answer, make_hold, make_request
from tests.integration.ledger.scene import Scene

_PATIENCE_S = 20


@pytest.fixture
def house(tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> House:
    house = House(tenant, conn_as, admin_conn)
    house.open_accounts()
    house.bring_in(ALICE, 100_000)
    house.bring_in(PURSE, 1_000)
    return house


@pytest.fixture
def second(house: House) -> Connection[Any]:
    """Another session of the executor."""
    return house.conn_as("executor", house.tenant)


@contextmanager
def _waiting(house: House, held: Connection[Any], act: Callable[[], Any]) -> Iterator[list[Any]]:
    """Run `act` in a thread until it waits for a lock of `held`; the block's end is that of its transaction, and so of `act`."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(act())
        except psycopg.Error as error:
            results.append(error)

    thread = threading.Thread(target=run)
    waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE %s = ANY(PG_BLOCKING_PIDS(pid))"
    thread.start()
    deadline = time.monotonic() + _PATIENCE_S
    while house.admin.execute(waits, [held.info.backend_pid]).fetchone() == (0,):
        assert time.monotonic() < deadline, f"the other did not wait; it got {results}"
        assert thread.is_alive(), f"the other did not wait; it got {results}"
        time.sleep(0.005)
    yield results
    held.commit()
    thread.join(timeout=_PATIENCE_S)
    assert results, "the other never ended"


def _one(connection: Connection[Any], request: TransferRequest) -> TransferResult:
    return post_transfer(connection, request, now=NOW)


def _many(connection: Connection[Any], request: TransferRequest) -> TransferResult:
    return post_transfers(connection, [request], now=NOW)[0]


_WAYS = [_one, _many]


def _begin(house: House) -> Connection[Any]:
    """Open a session whose transaction stays open until someone commits it."""
    connection = house.conn_as("executor", house.tenant)
    connection.autocommit = False
    return connection


def _no_faults(house: House) -> None:
    assert find_faults(house.admin, house.tenant.tenant_id) == {}


@pytest.mark.parametrize("asks", _WAYS)
@pytest.mark.parametrize("posts", _WAYS)
def test_the_same_id_at_once_moves_money_once(house: House, second: Connection[Any], posts: Any, asks: Any) -> None:
    """Between accounts that nobody waits for as well: both sides of `house` are rolled up."""
    define_account(house.importer, "house:fees:main", "EUR", rolled_up=True, now=NOW)
    for request in (make_request(), make_request(debit=BANK, credit="house:fees:main")):
        house.allow(request)
        first = _begin(house)
        assert posts(first, request).code is ResultCode.ACCEPTED
        with _waiting(house, first, partial(asks, second, request)) as results:
            pass
        assert [result.code for result in results] == [ResultCode.ALREADY_ACCEPTED]
    _no_faults(house)


@pytest.mark.parametrize("asks", _WAYS)
def test_a_rolled_back_posting_leaves_its_authorization_to_the_other(house: House, second: Connection[Any], asks: Any) -> None:
    request = make_request()
    house.allow(request)
    first = _begin(house)
    assert _one(first, request).code is ResultCode.ACCEPTED
    with _waiting(house, first, lambda: asks(second, request)) as results:
        first.rollback()
    assert [result.code for result in results] == [ResultCode.ACCEPTED]
    _no_faults(house)


@pytest.mark.parametrize("asks", _WAYS)
def test_two_who_want_the_last_cent_of_a_purse(house: House, second: Connection[Any], asks: Any) -> None:
    wishes = [make_request(debit=PURSE, amount_minor=600) for _ in range(2)]
    house.allow(*wishes)
    first = _begin(house)
    assert _one(first, wishes[0]).code is ResultCode.ACCEPTED
    with _waiting(house, first, lambda: asks(second, wishes[1])) as results:
        pass
    assert [result.code for result in results] == [ResultCode.LIMIT_EXCEEDED]
    _no_faults(house)


def test_a_hold_is_answered_once(house: House, second: Connection[Any]) -> None:
    """Between accounts that nobody waits for, too: a hold has a lock of its own."""
    define_account(house.importer, "house:fees:main", "EUR", rolled_up=True, now=NOW)
    for sides in ({"debit": PURSE, "credit": BOB}, {"debit": BANK, "credit": "house:fees:main"}):
        hold = make_hold(**sides, amount_minor=600, hold_expires_at=NOW + timedelta(hours=1))
        house.must_post(hold)
        post, void = make_answer(hold, TransferKind.POST), make_answer(hold, TransferKind.VOID)
        house.allow(post, void)
        first = _begin(house)
        assert _one(first, post).code is ResultCode.ACCEPTED
        with _waiting(house, first, partial(_one, second, void)) as results:
            pass
        assert [result.code for result in results] == [ResultCode.HOLD_POSTED]
    _no_faults(house)


def test_a_transfer_is_reversed_once(house: House, second: Connection[Any]) -> None:
    """Between accounts that nobody waits for, too: what is left to reverse has a lock of its own."""
    define_account(house.importer, "house:fees:main", "EUR", rolled_up=True, now=NOW)
    for paid in (make_request(), make_request(debit=BANK, credit="house:fees:main")):
        house.must_post(paid)
        backs = [make_answer(paid, TransferKind.REVERSE) for _ in range(2)]
        house.allow(*backs)
        first = _begin(house)
        assert _one(first, backs[0]).code is ResultCode.ACCEPTED
        with _waiting(house, first, partial(_one, second, backs[1])) as results:
            pass
        assert [result.code for result in results] == [ResultCode.EXCEEDS_REVERSIBLE]
    _no_faults(house)


def test_balancing_sees_what_the_one_before_left(house: House, second: Connection[Any]) -> None:
    sweeps = [make_request(debit=PURSE, amount_minor=700, balancing=Balancing.DEBIT) for _ in range(2)]
    house.allow(*sweeps)
    first = _begin(house)
    assert _one(first, sweeps[0]).amount_minor == 700
    with _waiting(house, first, lambda: _one(second, sweeps[1])) as results:
        pass
    assert [(result.code, result.amount_minor) for result in results] == [(ResultCode.ACCEPTED, 300)]
    _no_faults(house)


@pytest.mark.parametrize("posts", _WAYS)
def test_superseding_waits_for_a_posting_and_comes_too_late(scene: Scene, conn_as: ConnAs, posts: Any) -> None:
    """The decision's own transfer; the other way round its authorization is gone."""
    house = House(scene.tenant, conn_as, scene.admin)
    charge = scene.add_charge(1_000)
    for codes in ("house:refunds:EUR", "customer:acc_000000000001"):
        define_account(house.importer, codes, "EUR", rolled_up=codes.startswith("house"), now=NOW)
    decided, replaced = scene.decide(charge, 100), scene.decide(charge, 200)
    first = _begin(house)
    assert posts(first, _refund_of(scene, decided.decision_id, 100)).code is ResultCode.ACCEPTED
    with _waiting(house, first, lambda: scene.decide(charge, 100, previous=decided, outcome="deny")) as results:
        pass
    assert "already executed" in str(results[0])

    scene.gate.execute("BEGIN")
    scene.decide(charge, 200, previous=replaced, outcome="deny")
    second = house.conn_as("executor", house.tenant)
    with _waiting(house, scene.gate, lambda: posts(second, _refund_of(scene, replaced.decision_id, 200))) as answers:
        pass
    assert [answer.code for answer in answers] == [ResultCode.NOT_AUTHORIZED]
    _no_faults(house)


def _refund_of(scene: Scene, decision_id: str, amount_minor: int) -> TransferRequest:
    return make_request(
        transfer_id=derive_transfer_id(decision_id), debit="house:refunds:EUR", credit="customer:acc_000000000001",
        amount_minor=amount_minor, code=TransferCode.REFUND,
    )  # fmt: skip


@pytest.mark.parametrize("asks", _WAYS)
def test_closing_an_account_and_posting_to_it_come_one_after_the_other(house: House, second: Connection[Any], asks: Any) -> None:
    request, late = make_request(), make_request()
    house.allow(request, late)
    first = _begin(house)
    assert _one(first, request).code is ResultCode.ACCEPTED
    with _waiting(house, first, lambda: close_account(house.importer, BOB, "EUR", now=NOW)) as results:
        pass
    assert not isinstance(results[0], psycopg.Error)
    assert asks(second, late).code is ResultCode.ACCOUNT_CLOSED
    house.importer.autocommit = True
    other = make_request(credit="customer:carol")
    define_account(house.importer, "customer:carol", "EUR", now=NOW)
    house.allow(other)
    closing = house.conn_as("importer", house.tenant)
    closing.autocommit = False
    close_account(closing, "customer:carol", "EUR", now=NOW)
    with _waiting(house, closing, lambda: asks(second, other)) as answers:
        pass
    assert [answer.code for answer in answers] == [ResultCode.ACCOUNT_CLOSED]
    _no_faults(house)


def test_a_writer_that_was_replaced_writes_nothing(house: House, second: Connection[Any]) -> None:
    request = make_request()
    house.allow(request)
    old, new = claim_writer(house.executor, now=NOW), claim_writer(second, now=NOW)
    assert new == old + 1
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="another one took over"):
        post_transfers(house.executor, [request], now=NOW, writer_epoch=old)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        post_transfers(house.executor, [request], now=NOW, writer_epoch=new + 1)
    assert post_transfers(second, [request], now=NOW, writer_epoch=new)[0].code is ResultCode.ACCEPTED
    _no_faults(house)


def test_a_claim_waits_for_the_batch_in_flight_and_ends_its_writer(house: House, second: Connection[Any]) -> None:
    requests = [make_request() for _ in range(3)]
    house.allow(*requests)
    epoch = claim_writer(house.executor, now=NOW)
    first = _begin(house)
    assert post_transfers(first, requests[:2], now=NOW, writer_epoch=epoch)[1].code is ResultCode.ACCEPTED
    with _waiting(house, first, lambda: claim_writer(second, now=NOW)) as results:
        pass
    assert results == [epoch + 1]
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        post_transfers(first, requests[2:], now=NOW, writer_epoch=epoch)
    first.rollback()
    _no_faults(house)


def test_a_batch_that_waited_for_the_claim_is_refused(house: House, second: Connection[Any]) -> None:
    request = make_request()
    house.allow(request)
    epoch = claim_writer(house.executor, now=NOW)
    first = _begin(house)
    claim_writer(first, now=NOW)
    with _waiting(house, first, lambda: post_transfers(second, [request], now=NOW, writer_epoch=epoch)) as results:
        pass
    assert isinstance(results[0], psycopg.errors.ObjectNotInPrerequisiteState)
    _no_faults(house)


@pytest.mark.parametrize("seed", [1, 2])
def test_opposite_transfers_from_eight_sessions_meet_no_deadlock(database: Database, house: House, seed: int) -> None:
    """Singles, batches, chains, holds and their answers, in both directions over few accounts, all at once."""
    accounts = [ALICE, BOB, PURSE, BANK, *(f"customer:c{number}" for number in range(3))]
    for account in accounts[4:]:
        define_account(house.importer, account, "EUR", now=NOW)
    draws = random.Random(seed)
    plans = [[_plan(draws, accounts) for _ in range(12)] for _ in range(8)]
    for plan in plans:
        house.allow(*(request for call in plan for request in call))
    barrier = threading.Barrier(len(plans))

    def work(plan: list[list[TransferRequest]]) -> Counter[ResultCode]:
        seen: Counter[ResultCode] = Counter()
        with psycopg.connect(database.dsn("executor"), autocommit=True) as connection:
            connection.execute("SELECT SET_CONFIG('tellergate.context', %s, FALSE)", [house.tenant.context("executor")])
            connection.execute("SET lock_timeout = '20s'")
            connection.execute("SET statement_timeout = '60s'")
            barrier.wait(timeout=_PATIENCE_S)
            for call in plan:
                answers = [_one(connection, call[0])] if len(call) == 1 else post_transfers(connection, call, now=NOW)
                seen.update(answer.code for answer in answers)
        return seen

    with ThreadPoolExecutor(len(plans)) as threads:
        total = sum(threads.map(work, plans), Counter[ResultCode]())
    passing = {ResultCode.ACCEPTED, ResultCode.LIMIT_EXCEEDED, ResultCode.LINKED_FAILED, ResultCode.TARGET_NOT_FOUND}
    assert set(total) <= passing, total
    assert total[ResultCode.ACCEPTED] > 150
    _no_faults(house)


def _plan(draws: random.Random, accounts: list[str]) -> list[TransferRequest]:
    """One call: a single transfer, or a batch of up to nine with a chain or a hold and its answer in it."""
    size = draws.choice([1, 1, 2, 5, 9])
    call: list[TransferRequest] = []
    while len(call) < size:
        debit, credit = draws.sample(accounts, 2)
        amount_minor = draws.randint(1, 40)
        if size > 2 and draws.random() < 0.2:
            hold = make_hold(debit=debit, credit=credit, amount_minor=amount_minor, hold_expires_at=NOW + timedelta(hours=1))
            call += [hold, make_answer(hold, draws.choice([TransferKind.POST, TransferKind.VOID]))]
        elif size > 2 and draws.random() < 0.2:
            call += [
                make_request(debit=debit, credit=credit, amount_minor=amount_minor, linked=True),
                make_request(debit=credit, credit=debit, amount_minor=amount_minor),
            ]
        else:
            call.append(make_request(debit=debit, credit=credit, amount_minor=amount_minor))
    return call
