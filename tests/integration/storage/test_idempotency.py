"""Keys are stored with their effect."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from storage.idempotency import IdempotencyKey, KeyReused, StillRunning, claim_key, store_response
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
