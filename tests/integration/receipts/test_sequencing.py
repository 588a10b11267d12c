"""The sequencer on the real database: gap-free, causal, atomic, one at a time, and stopped by a changed log."""

from __future__ import annotations

import base64
import threading
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.canonical import canonical_bytes
from gates.receipts import sequencing
from gates.receipts.checkpoint import CheckpointSigner
from gates.receipts.sequencing import LogTampered
from gates.receipts.tree import append_leaves, hash_leaf
from ledger.results import ExecutionCode
from storage.events import append_event, list_events
from tests.integration.ledger.scene import NOW
from tests.integration.receipts.conftest import Log


def _append(log: Log, count: int, seconds: int = 0) -> list[str]:
    at = NOW + timedelta(seconds=seconds)
    events = [log.scene.make_event("proposal.submitted", f"prp_{number}", {"number": number}, at) for number in range(count)]
    with log.scene.gate.transaction():
        for event in events:
            append_event(log.scene.gate, event)
    return [event.event_id for event in events]


def _places(log: Log) -> list[str]:
    placed = list_events(log.scene.gate, after_position=-1, limit=10_000)
    assert [entry.placement.position for entry in placed] == list(range(len(placed)))
    return [entry.event.event_id for entry in placed]


def test_nothing_waits_nothing_happens(log: Log) -> None:
    assert log.sequence() == sequencing.Sequenced(events=0, checkpoint=None)


def test_places_are_gap_free_in_the_order_of_insertion_whatever_the_times_say(log: Log) -> None:
    late = _append(log, 7, seconds=100)
    early = _append(log, 6, seconds=-100)
    assert log.sequence(limit=5).events == 5
    assert log.sequence().events == 8
    assert log.sequence().events == 0
    assert _places(log) == [*late, *early]


def test_the_checkpoint_is_over_the_canonical_records(log: Log) -> None:
    _append(log, 3)
    log.sequence(limit=2)
    checkpoint = log.sequence().checkpoint
    assert checkpoint is not None
    records = [entry.event.to_record() for entry in list_events(log.scene.gate, after_position=-1, limit=10)]
    root = append_leaves(0, {}, [hash_leaf(canonical_bytes(record)) for record in records]).root
    lines = checkpoint.note.split("\n")
    assert lines[:4] == [f"tellergate/{log.scene.tenant.tenant_id}", "3", base64.b64encode(root).decode(), ""]
    name, signature = lines[4].removeprefix("\N{EM DASH} ").split(" ")
    raw = base64.b64decode(signature)
    assert (name, raw[:4]) == ("tellergate", log.signer.key_id)
    log.signer.private_key.public_key().verify(raw[4:], "".join(f"{line}\n" for line in lines[:3]).encode())


def test_a_cause_comes_before_its_effect(log: Log) -> None:
    decision = log.scene.decide(log.scene.add_charge())
    assert log.scene.execute(decision.decision_id).code is ExecutionCode.POSTED
    log.sequence()
    types = [entry.event.event_type for entry in list_events(log.scene.gate, after_position=-1, limit=10)]
    assert types == ["message.received", "proposal.submitted", "gate.decided", "ledger.transfer_posted"]


def test_an_event_that_commits_late_is_placed_late_and_not_lost(log: Log) -> None:
    open_event = log.scene.make_event("proposal.submitted", "prp_open", {}, NOW)
    other = log.scene.conn_as("gate", log.scene.tenant)
    with other.transaction():
        append_event(other, open_event)
        first = _append(log, 2)
        assert log.sequence().events == 2
    assert log.sequence().events == 1
    assert _places(log) == [*first, open_event.event_id]


def test_sequencers_that_race_place_each_event_once(log: Log) -> None:
    expected = _append(log, 60)
    threads = [threading.Thread(target=lambda: [log.sequence(limit=7) for _ in range(8)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert _places(log) == expected


@pytest.mark.parametrize("step", ["record_positions", "append_nodes", "sign_checkpoint", "append_checkpoint"])
def test_a_crash_between_two_steps_leaves_nothing_and_a_repeat_goes_on(log: Log, step: str) -> None:
    class Crash(Exception):
        pass

    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    expected = _append(log, 5)
    with patch.object(sequencing, step, crash), pytest.raises(Crash):
        log.sequence()
    assert _places(log) == []
    assert log.sequence().events == 5
    assert _places(log) == expected


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE core.event_positions SET leaf_hash = DECODE(REPEAT('00', 32), 'hex') WHERE tenant_id = %s AND position = 4",
        "UPDATE gate.log_nodes SET hash = DECODE(REPEAT('00', 32), 'hex') WHERE tenant_id = %s AND level = 2",
        "DELETE FROM core.event_positions WHERE tenant_id = %s AND position = 4",
        "DELETE FROM gate.checkpoints WHERE tenant_id = %s",
    ],
)
def test_nothing_is_appended_to_a_log_that_was_changed(log: Log, statement: str) -> None:
    """Places, nodes or checkpoints edited by who can: the sequencer stops instead of signing over it."""
    _append(log, 5)
    log.sequence()
    _append(log, 1)
    admin = log.scene.admin
    tables = ("core.event_positions", "gate.log_nodes", "gate.checkpoints")
    for table in tables:
        admin.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    try:
        admin.execute(statement, [log.scene.tenant.tenant_id])
    finally:
        for table in tables:
            admin.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")
    with pytest.raises(LogTampered):
        log.sequence()


def test_a_second_log_cannot_grow_beside_the_first(log: Log) -> None:
    _append(log, 2)
    log.sequence()
    insert = "INSERT INTO gate.checkpoints VALUES (%s, 2, DECODE(REPEAT('00', 32), 'hex'), 'note', NOW())"
    with pytest.raises(psycopg.errors.UniqueViolation):
        log.scene.gate.execute(insert, [log.scene.tenant.tenant_id])
    stranger = CheckpointSigner(Ed25519PrivateKey.generate())
    assert stranger.verifier_key != log.signer.verifier_key
