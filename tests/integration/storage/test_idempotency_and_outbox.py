"""Keys are stored with their effect; instructions to the bank only move forward."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from psycopg import errors

from storage.idempotency import IdempotencyKey, KeyReused, StillRunning, claim_key, store_response
from storage.outbox import (
    UnknownInstruction,
    enqueue_instruction,
    find_instruction,
    mark_confirmed,
    mark_failed,
    mark_sent,
    take_pending,
)
from tests.conftest import ConnAs, Tenant

NOW = datetime(2026, 5, 4, tzinfo=UTC)
KEY = IdempotencyKey(scope="refund", key="k-1", body_digest="a" * 64)


def test_the_same_key_and_body_give_the_same_answer(conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant) -> None:
    gate = conn_as("gate", tenant)
    with gate.transaction():
        assert claim_key(gate, KEY) is None
        store_response(gate, tenant_id=tenant.tenant_id, key=KEY, response={"outcome": "allow"}, now=NOW)
    with gate.transaction():
        assert claim_key(gate, KEY) == {"outcome": "allow"}
    with pytest.raises(KeyReused), gate.transaction():
        claim_key(gate, IdempotencyKey(scope="refund", key="k-1", body_digest="b" * 64))
    with gate.transaction():
        assert claim_key(gate, IdempotencyKey(scope="fee", key="k-1", body_digest="b" * 64)) is None
    other = conn_as("gate", other_tenant)
    with other.transaction():
        assert claim_key(other, KEY) is None


def test_a_key_that_is_being_worked_on_says_so(conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant) -> None:
    first, second, other = conn_as("gate", tenant), conn_as("gate", tenant), conn_as("gate", other_tenant)
    with first.transaction():
        assert claim_key(first, KEY) is None
        with pytest.raises(StillRunning), second.transaction():
            claim_key(second, KEY)
        with other.transaction():
            assert claim_key(other, KEY) is None


def test_a_rolled_back_effect_leaves_the_key_free(conn_as: ConnAs, tenant: Tenant) -> None:
    gate = conn_as("gate", tenant)
    with gate.transaction(force_rollback=True):
        claim_key(gate, KEY)
        store_response(gate, tenant_id=tenant.tenant_id, key=KEY, response={}, now=NOW)
    with gate.transaction():
        assert claim_key(gate, KEY) is None


def test_an_instruction_goes_from_pending_to_confirmed(conn_as: ConnAs, tenant: Tenant) -> None:
    executor, relay, instruction_id = conn_as("executor", tenant), conn_as("jobs", tenant), uuid4()
    parts = {"kind": "refund", "reference": "tfr_1", "payload": {"amount_minor": 4200}}
    enqueue_instruction(executor, tenant_id=tenant.tenant_id, instruction_id=instruction_id, now=NOW, **parts)  # type: ignore[arg-type]
    with pytest.raises(errors.UniqueViolation):
        enqueue_instruction(executor, tenant_id=tenant.tenant_id, instruction_id=uuid4(), now=NOW, **parts)  # type: ignore[arg-type]
    with relay.transaction():
        (taken,) = take_pending(relay, 10)
        assert (taken.instruction_id, taken.payload, taken.state) == (instruction_id, {"amount_minor": 4200}, "pending")
        assert take_pending(conn_as("jobs", tenant), 10) == []
    with pytest.raises(errors.CheckViolation, match="no way from pending to confirmed"):
        mark_confirmed(relay, instruction_id, now=NOW)
    mark_sent(relay, instruction_id, now=NOW)
    mark_sent(relay, instruction_id, now=NOW)
    mark_confirmed(relay, instruction_id, now=NOW)
    assert (find_instruction(relay, instruction_id).state, find_instruction(relay, instruction_id).attempts) == ("confirmed", 2)
    with pytest.raises(errors.CheckViolation):
        mark_failed(relay, instruction_id, failure="closed account", now=NOW)


def test_only_the_relay_moves_an_instruction(conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant) -> None:
    executor, instruction_id = conn_as("executor", tenant), uuid4()
    enqueue_instruction(
        executor, tenant_id=tenant.tenant_id, instruction_id=instruction_id, kind="refund", reference="r", payload={}, now=NOW
    )
    with pytest.raises(errors.InsufficientPrivilege):
        mark_sent(executor, instruction_id, now=NOW)
    with pytest.raises(UnknownInstruction):
        mark_sent(conn_as("jobs", other_tenant), instruction_id, now=NOW)
    with pytest.raises(errors.InsufficientPrivilege):
        conn_as("jobs", tenant).execute("UPDATE core.outbox SET payload = '{}'")
