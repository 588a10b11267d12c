"""The relay sees each instruction through once, whatever the bank does; nothing is undone without a person."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest
from psycopg import errors

from serving.bank.acknowledging import Effect
from serving.bank.file_bank import FileBank
from serving.bank.relay import Collector, RelayRules
from storage.outbox import (
    Channel,
    UnknownInstruction,
    claim_due,
    count_unsettled,
    enqueue_instruction,
    list_acknowledgements,
    list_instructions,
    mark_confirmed,
    mark_failed,
    mark_sent,
)
from tests.conftest import ConnAs, Tenant
from tests.doubles.bank_server import Fault
from tests.integration.bank.counter import Counter, outside

LEASE = RelayRules().lease


def test_an_instruction_is_sent_then_confirmed_when_asked_again(counter: Counter) -> None:
    instruction_id = counter.instruct()
    relay = counter.relay()
    assert relay.run_round().settled == 1
    assert counter.look(instruction_id).state == "sent"
    assert counter.server.body_of(outside(instruction_id))["payload"]["amount_minor"] == 4990
    assert relay.run_round().settled == 0
    counter.server.say(outside(instruction_id), status="confirmed", bank_reference="B-1", amount_minor=4990, currency="EUR")
    counter.clock.go_on(seconds=30)
    assert relay.run_round().settled == 1
    settled = counter.look(instruction_id)
    assert (settled.state, settled.bank_reference, settled.attempts) == ("confirmed", "B-1", 2)
    counter.clock.go_on(days=9)
    assert relay.run_round().settled == 0
    assert set(counter.events(instruction_id)) == {"instruction.sent", "instruction.confirmed"}
    assert counter.server.carried_out[outside(instruction_id)] == 1
    assert counter.cases() == []


@pytest.mark.parametrize("fault", ["done_then_silent", "done_then_dropped", "garbage", "wrong_id"])
def test_after_a_lost_answer_the_bank_is_asked_and_not_told_again(counter: Counter, fault: Fault) -> None:
    instruction_id = counter.instruct()
    counter.server.faults.append(fault)
    relay = counter.relay()
    assert relay.run_round().fault is not None
    assert counter.look(instruction_id).state == "pending"
    counter.clock.go_on(seconds=2)
    relay.run_round()
    assert counter.look(instruction_id).state == "sent"
    assert [method for method, _ in counter.server.requests] == ["POST", "GET"]
    assert counter.server.carried_out[outside(instruction_id)] == 1


def test_what_never_arrived_is_sent_again(counter: Counter) -> None:
    instruction_id = counter.instruct()
    counter.server.faults += ["dropped", "error500"]
    relay = counter.relay()
    for _ in range(3):
        relay.run_round()
        counter.clock.go_on(seconds=8)
    assert [method for method, _ in counter.server.requests] == ["POST", "GET", "GET", "POST"]
    assert counter.look(instruction_id).state == "sent"
    assert counter.server.carried_out[outside(instruction_id)] == 1


def test_waits_grow_to_a_cap_and_come_from_the_seed(counter: Counter) -> None:
    def waits_of(seed: int) -> list[float]:
        instruction_id = counter.instruct()
        relay, waits = counter.relay(seed=seed), []
        for _ in range(14):
            counter.server.faults.append("error500")
            assert relay.run_round().fault == "bank_unavailable"
            due = counter.look(instruction_id).next_attempt_at
            assert due is not None
            waits.append((due - counter.clock.now()).total_seconds())
            assert relay.run_round().settled == 0
            counter.clock.moment = due
        counter.take(instruction_id, "confirmed")
        return waits

    first = waits_of(seed=11)
    assert first == waits_of(seed=11)
    assert first != waits_of(seed=12)
    for attempt, wait_s in enumerate(first):
        whole_s = min(600, 2 * 2**attempt)
        assert whole_s <= 2 * wait_s <= 2 * whole_s


def test_a_bank_that_says_when_to_come_back_is_left_alone_till_then(counter: Counter) -> None:
    instruction_id = counter.instruct()
    counter.server.faults.append("busy")
    counter.relay().run_round()
    assert counter.look(instruction_id).next_attempt_at == counter.clock.now() + timedelta(seconds=120)


def test_one_that_fails_does_not_keep_the_others_waiting(counter: Counter) -> None:
    first = counter.instruct()
    counter.clock.go_on(seconds=1)
    others = [counter.instruct() for _ in range(3)]
    counter.server.faults.append("error500")
    relay = counter.relay()
    assert relay.run_round().fault == "bank_unavailable"
    assert relay.run_round().settled == 3
    assert {counter.look(one).state for one in others} == {"sent"}
    assert counter.look(first).state == "pending"


def test_the_longest_waiting_goes_first(counter: Counter) -> None:
    ids = [counter.instruct(created_at=counter.clock.now() - timedelta(minutes=age)) for age in (1, 3, 2)]
    counter.relay().run_round()
    told = [path for method, path in counter.server.requests if method == "POST"]
    assert len(told) == 3
    order = list(counter.server.carried_out)
    assert order == [outside(ids[1]), outside(ids[2]), outside(ids[0])]


def test_a_refusal_opens_a_case_that_proposes_the_reversal_and_reverses_nothing(counter: Counter) -> None:
    instruction_id = counter.instruct()
    counter.server.default_status = {"status": "refused", "reason_code": "account_closed"}
    relay = counter.relay()
    relay.run_round()
    failed = counter.look(instruction_id)
    assert (failed.state, failed.failure) == ("failed", "account_closed")
    assert counter.events(instruction_id) == ["instruction.failed"]
    ((subject, facts),) = counter.cases()
    transfer_id = f"tfr_{instruction_id.hex}"
    assert subject == facts["transfer_id"] == transfer_id
    assert (facts["proposed_act"], facts["reason_code"]) == ("reverse_transfer", "account_closed")
    transfers = counter.conn_as("auditor").execute("SELECT COUNT(*) FROM ledger.transfer_lines").fetchone()
    assert transfers == (0,)
    counter.clock.go_on(days=30)
    assert relay.run_round().settled == 0
    assert len(counter.cases()) == 1


def test_a_key_conflict_asks_the_bank_and_proposes_no_reversal(counter: Counter) -> None:
    instruction_id = counter.instruct()
    bank = counter.open_http()
    from tests.integration.bank.test_bank_conformance import make_instruction

    foreign = make_instruction(amount_minor=1)
    object.__setattr__(foreign, "instruction_id", instruction_id)
    bank.send(foreign)
    counter.relay(bank).run_round()
    assert counter.look(instruction_id).failure == "key_conflict"
    assert counter.cases()[0][1]["proposed_act"] == "ask_the_bank"


@pytest.mark.parametrize("last", ["confirmed", "refused"])
def test_acknowledgements_in_any_order_and_number_end_the_same(counter: Counter, last: str) -> None:
    channels: tuple[Channel, ...] = ("answer", "question", "callback", "file")
    for order in permutations(["accepted", "accepted", last, last]):
        instruction_id = counter.instruct()
        effects = [counter.take(instruction_id, status, channel=channel) for status, channel in zip(order, channels, strict=True)]
        ended = "confirmed" if last == "confirmed" else "failed"
        assert counter.look(instruction_id).state == ended
        assert effects.count(Effect(ended)) == 1
        assert Effect.CONTRADICTION not in effects
        assert counter.events(instruction_id).count(f"instruction.{ended}") == 1
        statements = list_acknowledgements(counter.conn_as("jobs"), instruction_id)
        assert sorted(one.status for one in statements) == sorted({"accepted", last})


@pytest.mark.parametrize(("first", "second"), [("confirmed", "refused"), ("refused", "confirmed")])
def test_a_bank_that_contradicts_itself_changes_nothing_and_calls_a_person(counter: Counter, first: str, second: str) -> None:
    instruction_id = counter.instruct()
    counter.take(instruction_id, first)
    state = counter.look(instruction_id).state
    assert counter.take(instruction_id, second) is Effect.CONTRADICTION
    assert counter.take(instruction_id, second) is Effect.NONE
    assert counter.look(instruction_id).state == state
    assert counter.events(instruction_id).count("instruction.contradicted") == 1
    facts = [facts for _, facts in counter.cases() if facts["occasion"] == "contradicted"]
    assert [one["proposed_act"] for one in facts] == ["ask_the_bank"]


@pytest.mark.parametrize("more", [{"amount_minor": 4989, "currency": "EUR"}, {"amount_minor": 4990, "currency": "USD"}])
def test_another_amount_than_ours_is_no_confirmation(counter: Counter, more: dict[str, Any]) -> None:
    instruction_id = counter.instruct()
    counter.take(instruction_id, "accepted")
    assert counter.take(instruction_id, "confirmed", **more) is Effect.CONTRADICTION
    assert counter.look(instruction_id).state == "sent"
    assert len(counter.cases()) == 1


def test_an_unknown_or_foreign_instruction_is_an_error_and_nothing_else(
    counter: Counter, conn_as: ConnAs, other_tenant: Tenant
) -> None:
    with pytest.raises(UnknownInstruction):
        counter.take(uuid4(), "confirmed")
    instruction_id = counter.instruct()
    stranger = conn_as("jobs", other_tenant)
    with pytest.raises(UnknownInstruction):
        mark_sent(stranger, instruction_id, now=counter.clock.now())
    assert claim_due(stranger, limit=9, now=counter.clock.now(), leased_until=counter.clock.now()) == []
    assert list_instructions(stranger, state="pending", after=None, limit=9) == []
    assert counter.look(instruction_id).state == "pending"


def test_what_is_never_answered_becomes_a_case(counter: Counter) -> None:
    instruction_id = counter.instruct()
    relay = counter.relay()
    for _ in range(8):
        counter.server.faults.append("error500")
        relay.run_round()
        counter.clock.go_on(minutes=10)
    ((subject, facts),) = counter.cases()
    assert subject == f"{outside(instruction_id)}:overdue"
    assert (facts["occasion"], facts["proposed_act"]) == ("overdue", "ask_the_bank")
    counter.server.faults.clear()
    relay.run_round()
    assert counter.look(instruction_id).state == "sent"


def test_many_relays_tell_the_bank_once_each(counter: Counter) -> None:
    ids = [counter.instruct() for _ in range(40)]

    def relay_all(seed: int) -> int:
        bank = counter.open_http()
        return counter.relay(bank, seed=seed).run_round().settled

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(relay_all, range(4))) == 40
    assert counter.server.carried_out == {outside(one): 1 for one in ids}
    assert [method for method, _ in counter.server.requests].count("POST") == 40


def test_a_leased_instruction_is_left_alone_until_the_lease_ends(counter: Counter) -> None:
    instruction_id = counter.instruct()
    now = counter.clock.now()
    jobs = counter.conn_as("jobs")
    assert [one.instruction_id for one in claim_due(jobs, limit=5, now=now, leased_until=now + LEASE)] == [instruction_id]
    assert counter.relay().run_round().settled == 0
    counter.clock.go_on(seconds=60)
    assert counter.relay().run_round().settled == 1
    assert [method for method, _ in counter.server.requests] == ["GET", "POST"]


def test_the_bank_may_answer_by_callback_before_its_answer_arrives(counter: Counter) -> None:
    instruction_id = counter.instruct()

    def call_back(_: str) -> None:
        counter.take(instruction_id, "confirmed")

    counter.server.before_answer = call_back
    counter.relay().run_round()
    settled = counter.look(instruction_id)
    assert (settled.state, settled.next_attempt_at) == ("confirmed", None)


def test_deliveries_of_files_are_applied_line_by_line_and_put_away(counter: Counter) -> None:
    bank = FileBank(counter.folder)
    ids = [counter.instruct() for _ in range(3)]
    counter.relay(bank).run_round()
    assert {counter.look(one).state for one in ids} == {"sent"}
    head = {"format": "tellergate-acknowledgement/1"}
    good = {**head, "instruction_id": outside(ids[0]), "status": "confirmed"}
    refused = {**head, "instruction_id": outside(ids[1]), "status": "refused", "reason_code": "no_such_account"}
    lines: list[object] = [
        good, "not json", {**head, "instruction_id": outside(uuid4()), "status": "confirmed"}, refused, good,
        {**head, "instruction_id": outside(ids[2]), "status": "refused"}, {**good, "amount_minor": 1.5, "currency": "EUR"},
        {**good, "amount_minor": float("nan"), "currency": "EUR"}, {**good, "status": "CONFIRMED"}, {**good, "more": 1}, [], 7,
        {**good, "acknowledged_at": "yesterday"}, {**good, "acknowledged_at": "0001-01-01T00:00:00+23:59"}, "x" * 200_000,
    ]  # fmt: skip
    incoming = counter.folder / "incoming"
    raw = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (incoming / "2026-05-04.jsonl").write_bytes(raw.encode() + b"\n\xff\xfe\n\n" + b"[" * 60_000)
    (incoming / "half-written.jsonl.part").write_text("{")
    collector = Collector(counter.tenant.tenant_id, bank, counter.acknowledgements, counter.clock)
    assert collector.collect() == 2
    assert [counter.look(one).state for one in ids] == ["confirmed", "failed", "sent"]
    rejected = [json.loads(line) for line in (counter.folder / "rejected" / "2026-05-04.jsonl").read_text().splitlines()]
    assert [one["number"] for one in rejected] == [2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18]
    assert {one["code"] for one in rejected} == {"unknown_instruction", "unreadable_acknowledgement"}
    assert [file.name for file in incoming.iterdir()] == ["half-written.jsonl.part"]
    # The same delivery once more, and another under its name.
    for again in (raw.splitlines()[0] + "\n", raw.splitlines()[3] + "\n"):
        (incoming / "2026-05-04.jsonl").write_text(again)
        assert collector.collect() == 0
    assert len(list((counter.folder / "done").iterdir())) == 3
    assert len(counter.cases()) == 1


def test_a_folder_that_cannot_be_used_is_said_and_nothing_is_lost(counter: Counter) -> None:
    counter.folder.write_text("in the way")
    instruction_id = counter.instruct()
    relay = counter.relay(FileBank(counter.folder))
    assert relay.run_round().fault == "bank_folder_unusable"
    counter.folder.unlink()
    counter.clock.go_on(seconds=2)
    assert relay.run_round().settled == 1
    assert counter.look(instruction_id).state == "sent"


def test_the_ways_between_states_are_the_databases_own(counter: Counter) -> None:
    jobs, now = counter.conn_as("jobs"), counter.clock.now()
    instruction_id = counter.instruct()
    with pytest.raises(errors.CheckViolation, match="no way from pending to confirmed"):
        mark_confirmed(jobs, instruction_id, now=now)
    mark_sent(jobs, instruction_id, now=now)
    with pytest.raises(errors.CheckViolation):
        mark_failed(jobs, instruction_id, failure="Free text of a bank", now=now)
    mark_confirmed(jobs, instruction_id, now=now)
    with pytest.raises(errors.CheckViolation):
        mark_failed(jobs, instruction_id, failure="account_closed", now=now)
    assert count_unsettled(jobs) == []


def test_one_instruction_a_kind_and_cause(counter: Counter) -> None:
    parts = {
        "kind": "refund",
        "reference": "dec_1",
        "payload": {},
        "tenant_id": counter.tenant.tenant_id,
        "now": counter.clock.now(),
    }
    executor = counter.conn_as("executor")
    enqueue_instruction(executor, instruction_id=uuid4(), **parts)  # type: ignore[arg-type]
    with pytest.raises(errors.UniqueViolation):
        enqueue_instruction(executor, instruction_id=uuid4(), **parts)  # type: ignore[arg-type]


def test_only_the_relay_moves_an_instruction_and_nobody_changes_what_the_bank_said(counter: Counter) -> None:
    instruction_id = counter.instruct()
    counter.take(instruction_id, "accepted")
    jobs = counter.conn_as("jobs")
    for role in ("edge", "gate", "executor", "auditor"):
        with pytest.raises(errors.InsufficientPrivilege):
            mark_sent(counter.conn_as(role), instruction_id, now=counter.clock.now())
        with pytest.raises(errors.InsufficientPrivilege):
            counter.conn_as(role).execute("DELETE FROM core.bank_acknowledgements")
    for statement in (
        "UPDATE core.outbox SET payload = '{}'", "DELETE FROM core.outbox", "UPDATE core.outbox SET reference = 'x'",
        "UPDATE core.bank_acknowledgements SET status = 'confirmed'", "DELETE FROM core.bank_acknowledgements",
        "INSERT INTO core.outbox SELECT * FROM core.outbox",
    ):  # fmt: skip
        with pytest.raises(errors.InsufficientPrivilege):
            jobs.execute(statement)
