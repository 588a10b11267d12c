"""An allowed refund is posted once, with its balances, its event, its instruction; a repeat gives the stored answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from domain.ids import InvalidId
from gates.execution import execute_decision
from ledger.balances import find_balances, list_trial_balance
from ledger.posting import post_decision
from ledger.results import Execution, ExecutionCode
from ledger.transfer_digest import derive_transfer_id
from storage.events import find_event
from storage.pools import open_pool
from tests.conftest import Database
from tests.integration.ledger.books import find_faults
from tests.integration.ledger.scene import ACCOUNT, NOW, Scene


def _read_one(scene: Scene, query: str) -> tuple[object, ...]:
    row = scene.executor.execute(query).fetchone()
    assert row is not None
    return tuple(row)


def test_an_allowed_refund_is_posted_with_everything_that_belongs_to_it(scene: Scene) -> None:
    decision = scene.decide(scene.add_charge(4990))
    transfer_id = derive_transfer_id(decision.decision_id)
    execution = scene.execute(decision.decision_id)

    assert execution.code is ExecutionCode.POSTED
    posting = execution.posting
    assert posting is not None
    assert (posting.transfer_id, posting.amount_minor, posting.currency) == (transfer_id, 4990, "EUR")
    assert (posting.debit, posting.credit) == ("house:refunds:EUR", f"customer:{ACCOUNT}")
    # The house's side is rolled up: its balance is never after one posting, and its version only orders.
    assert (posting.debit_balance_after_minor, posting.credit_balance_after_minor) == (None, 4990)
    assert (posting.credit_version, posting.posted_at, posting.event_id) == (1, NOW, transfer_id)

    event = find_event(scene.executor, f"evt_{transfer_id.hex}")
    assert event is not None
    assert (event.event_type, event.subject, event.amount_minor) == ("ledger.transfer_posted", f"tfr_{transfer_id.hex}", 4990)
    assert event.data == {
        "transfer_id": f"tfr_{transfer_id.hex}",
        "kind": "posted",
        "code": "refund",
        "target_id": None,
        "decision_id": decision.decision_id,
        "decision_event_id": decision.event.event_id,
        "proposal_id": decision.proposal_id,
        "action_digest": decision.action.digest(),
        "transfer_digest": _read_one(scene, "SELECT ENCODE(transfer_digest, 'hex') FROM gate.decisions")[0],
        "transaction_id": decision.action.transaction_id,
        "account_id": ACCOUNT,
        "amount_minor": 4990,
        "currency": "EUR",
        "debit": "house:refunds:EUR",
        "debit_version": posting.debit_version,
        "debit_balance_after_minor": None,
        "credit": f"customer:{ACCOUNT}",
        "credit_version": 1,
        "credit_balance_after_minor": 4990,
    }
    assert _read_one(scene, "SELECT kind, reference, state FROM core.outbox") == ("refund", decision.decision_id, "pending")
    assert _read_one(scene, "SELECT decision_id, transfer_id FROM gate.consumptions") == (decision.decision_id, transfer_id)
    assert _read_one(scene, "SELECT charged_minor, refunded_minor FROM ledger.refund_totals") == (4990, 4990)
    waiting = "SELECT COUNT(*) FROM core.events_unsequenced WHERE tenant_id = %s AND event_id = %s"
    assert scene.gate.execute(waiting, [scene.tenant.tenant_id, transfer_id]).fetchone() == (1,)
    assert find_faults(scene.admin, scene.tenant.tenant_id) == {}


def test_a_repeat_gives_the_stored_answer_and_moves_nothing(scene: Scene) -> None:
    first = scene.decide(scene.add_charge(4990))
    posted = scene.execute(first.decision_id)
    scene.execute(scene.decide(scene.add_charge(100), 100).decision_id)
    # Long after the decision expired: it was posted while it lived.
    again = scene.execute(first.decision_id, now=NOW + timedelta(days=1))
    assert again.code is ExecutionCode.ALREADY_POSTED
    assert again.posting == posted.posting
    assert [line.credits_posted_minor for line in list_trial_balance(scene.executor)] == [5090]


def test_balances_versions_and_trial_balance_add_up(scene: Scene) -> None:
    for amount_minor in (100, 250, 4000):
        assert scene.execute(scene.decide(scene.add_charge(9000), amount_minor).decision_id).code is ExecutionCode.POSTED
    yen = scene.decide(scene.add_charge(1290, currency="JPY"), 1290, currency="JPY")
    assert scene.execute(yen.decision_id).code is ExecutionCode.POSTED

    balances = {
        (line.code, line.currency): line for line in find_balances(scene.executor, [f"customer:{ACCOUNT}", "house:refunds:EUR"])
    }
    assert balances[f"customer:{ACCOUNT}", "EUR"].balance_minor == 4350
    assert balances[f"customer:{ACCOUNT}", "EUR"].version == 3
    assert balances[f"customer:{ACCOUNT}", "JPY"].balance_minor == 1290
    assert balances["house:refunds:EUR", "EUR"].balance_minor == -4350
    lines = list_trial_balance(scene.executor)
    assert [(line.currency, line.debits_posted_minor, line.credits_posted_minor) for line in lines] == [
        ("EUR", 4350, 4350),
        ("JPY", 1290, 1290),
    ]
    assert find_faults(scene.admin, scene.tenant.tenant_id) == {}
    # The check itself can fail.
    scene.admin.execute("UPDATE ledger.accounts SET credits_posted_minor = 1 WHERE tenant_id = %s AND code = 'house:refunds:EUR'",
                        [scene.tenant.tenant_id])  # fmt: skip
    assert list(find_faults(scene.admin, scene.tenant.tenant_id).values()) == [["house:refunds:EUR"]]


def test_parts_of_a_charge_are_refunded_up_to_the_charge_and_not_a_cent_more(scene: Scene) -> None:
    charge = scene.add_charge(1000)
    assert scene.execute(scene.decide(charge, 600).decision_id).code is ExecutionCode.POSTED
    assert scene.execute(scene.decide(charge, 401).decision_id).code is ExecutionCode.EXCEEDS_REFUNDABLE
    assert scene.execute(scene.decide(charge, 400).decision_id).code is ExecutionCode.POSTED
    assert scene.execute(scene.decide(charge, 1).decision_id).code is ExecutionCode.EXCEEDS_REFUNDABLE
    with pytest.raises(psycopg.errors.CheckViolation, match="refund_totals_within_charge"):
        scene.admin.execute("UPDATE ledger.refund_totals SET refunded_minor = 1001 WHERE transaction_id = %s", [charge])


def test_a_smaller_charge_in_the_banks_record_counts(scene: Scene) -> None:
    charge = scene.add_charge(1000)
    assert scene.execute(scene.decide(charge, 600).decision_id).code is ExecutionCode.POSTED
    scene.admin.execute("UPDATE core.transactions SET amount_minor = 700 WHERE transaction_id = %s", [charge])
    assert scene.execute(scene.decide(charge, 101).decision_id).code is ExecutionCode.EXCEEDS_REFUNDABLE


def _race(database: Database, scene: Scene, decision_ids: list[str]) -> list[Execution]:
    """Execute all at the same moment, each on its own connection, as a process does that knows the decision alone."""
    barrier = threading.Barrier(len(decision_ids))
    answers: list[Execution] = []

    def run(decision_id: str) -> None:
        with psycopg.connect(database.dsn("executor")) as connection:
            connection.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [scene.tenant.context("executor")])
            barrier.wait(timeout=10)
            answers.append(post_decision(connection, decision_id, transfer_id=derive_transfer_id(decision_id), now=NOW))

    threads = [threading.Thread(target=run, args=[decision_id]) for decision_id in decision_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return answers


def test_executors_that_race_on_one_decision_post_it_once(database: Database, scene: Scene) -> None:
    decision = scene.decide(scene.add_charge(4990))
    codes = [answer.code for answer in _race(database, scene, [decision.decision_id] * 6)]
    assert sorted(codes) == [ExecutionCode.ALREADY_POSTED] * 5 + [ExecutionCode.POSTED]
    assert _read_one(scene, "SELECT COUNT(*), SUM(amount_minor) FROM ledger.transfer_lines") == (1, 4990)


def test_decisions_that_race_on_one_charge_never_refund_more_than_it(database: Database, scene: Scene) -> None:
    charge = scene.add_charge(1000)
    decisions = [scene.decide(charge, 400).decision_id for _ in range(6)]
    codes = [answer.code for answer in _race(database, scene, decisions)]
    assert sorted(codes) == [ExecutionCode.EXCEEDS_REFUNDABLE] * 4 + [ExecutionCode.POSTED] * 2
    assert _read_one(scene, "SELECT refunded_minor FROM ledger.refund_totals") == (800,)
    assert find_faults(scene.admin, scene.tenant.tenant_id) == {}


def _run_while_another_holds(scene: Scene, held: str, act: Callable[[], object]) -> object:
    """Execute `held` and leave its transaction open until `act`, in a thread, waits for it; then commit and return its result."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(act())
        except psycopg.Error as error:
            results.append(error)

    waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = CURRENT_DATABASE() AND wait_event_type = 'Lock'"
    thread = threading.Thread(target=run)
    with scene.executor.transaction():
        assert post_decision(scene.executor, held, transfer_id=derive_transfer_id(held), now=NOW).code is ExecutionCode.POSTED
        thread.start()
        deadline = time.monotonic() + 10
        while scene.admin.execute(waiting).fetchone() == (0,):
            assert time.monotonic() < deadline, f"the other did not wait; it got {results}"
    thread.join(timeout=30)
    return results[0]


def test_a_second_refund_of_a_charge_waits_for_the_first_and_counts_it(database: Database, scene: Scene) -> None:
    charge = scene.add_charge(1000)
    assert scene.execute(scene.decide(charge, 1).decision_id).code is ExecutionCode.POSTED
    first, second = scene.decide(charge, 600).decision_id, scene.decide(charge, 600).decision_id
    answer = _run_while_another_holds(scene, first, lambda: _race(database, scene, [second])[0].code)
    assert answer is ExecutionCode.EXCEEDS_REFUNDABLE


def test_two_refunds_of_a_charge_that_both_wait_for_its_account_are_counted_together(database: Database, scene: Scene) -> None:
    """Neither has written yet: only the lock on the charge's row keeps the second from reading what the first will change."""
    charge = scene.add_charge(1000)
    assert scene.execute(scene.decide(charge, 1).decision_id).code is ExecutionCode.POSTED
    decisions = [scene.decide(charge, 600).decision_id for _ in range(2)]
    waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = CURRENT_DATABASE() AND wait_event_type = 'Lock'"
    answers: list[Execution] = []
    thread = threading.Thread(target=lambda: answers.extend(_race(database, scene, decisions)))
    with psycopg.connect(database.admin_dsn()) as holder:
        holder.execute("SELECT FROM ledger.accounts WHERE tenant_id = %s FOR UPDATE", [scene.tenant.tenant_id])
        thread.start()
        deadline = time.monotonic() + 10
        while scene.admin.execute(waiting).fetchone() != (2,):
            assert time.monotonic() < deadline
    thread.join(timeout=30)
    assert sorted(answer.code for answer in answers) == [ExecutionCode.EXCEEDS_REFUNDABLE, ExecutionCode.POSTED]


def test_a_second_executor_waits_for_the_first_and_gets_its_answer(database: Database, scene: Scene) -> None:
    """Part of the charge is left: without the lock the second finds neither the transfer nor a reason against it."""
    decision = scene.decide(scene.add_charge(1000), 100).decision_id
    answer = _run_while_another_holds(scene, decision, lambda: _race(database, scene, [decision])[0])
    assert isinstance(answer, Execution)
    assert (answer.code, answer.posting is not None) == (ExecutionCode.ALREADY_POSTED, True)


def test_a_later_decision_waits_for_the_execution_and_comes_too_late(scene: Scene) -> None:
    charge = scene.add_charge(1000)
    allowed = scene.decide(charge, 600)
    answer = _run_while_another_holds(
        scene, allowed.decision_id, lambda: scene.decide(charge, 600, previous=allowed, outcome="deny")
    )
    assert isinstance(answer, psycopg.errors.CheckViolation)
    assert "already executed" in str(answer)


def test_execute_decision_is_safe_to_repeat_without_a_memory(database: Database, scene: Scene) -> None:
    decision = scene.decide(scene.add_charge(4990))
    pool = open_pool(database.dsn("executor"), name="executor", max_size=1)
    try:
        context = scene.tenant.context("executor")
        first = execute_decision(pool, context, decision.decision_id, NOW)
        second = execute_decision(pool, context, decision.decision_id, NOW)
        with pytest.raises(InvalidId):
            execute_decision(pool, context, "dec_1; DROP", NOW)
    finally:
        pool.close()
    assert (first.code, second.code) == (ExecutionCode.POSTED, ExecutionCode.ALREADY_POSTED)
    assert first.posting == second.posting
    assert first.posting is not None
    assert first.posting.transfer_id == derive_transfer_id(decision.decision_id)


def test_a_rollback_after_the_posting_takes_everything_back(scene: Scene) -> None:
    decision = scene.decide(scene.add_charge(4990))
    with scene.executor.transaction(force_rollback=True):
        transfer_id = derive_transfer_id(decision.decision_id)
        assert post_decision(scene.executor, decision.decision_id, transfer_id=transfer_id, now=NOW).code is ExecutionCode.POSTED
    for table in ("ledger.transfer_lines", "gate.consumptions", "core.outbox", "ledger.refund_totals", "ledger.account_balances"):
        assert _read_one(scene, f"SELECT COUNT(*) FROM {table}") == (0,), table
    assert scene.execute(decision.decision_id).code is ExecutionCode.POSTED
