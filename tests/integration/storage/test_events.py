"""The event log only grows, and its order has no gap."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection, errors

from domain.canonical import NotCanonical
from domain.event import Event
from domain.ids import make_id
from storage.events import (
    Placement,
    WaitingEvent,
    append_event,
    find_event,
    find_placement,
    list_events,
    list_events_of,
    list_waiting_tenants,
    next_position,
    record_positions,
    take_unsequenced,
)
from storage.roles import LOGIN_ROLES, LoginRole
from tests.conftest import ConnAs, Tenant

NOW = datetime(2026, 5, 4, 12, 30, 15, 123456, tzinfo=UTC)
APPENDERS: tuple[LoginRole, ...] = ("edge", "gate", "executor", "jobs")


def make_event(tenant: Tenant, *, after: timedelta = timedelta(0)) -> Event:
    return Event(
        event_id=make_id("evt", NOW + after),
        event_type="payment.authorized",
        source="tellergate/money",
        subject="txn_1",
        tenant_id=tenant.tenant_id,
        occurred_at=NOW,
        recorded_at=NOW + after,
        account_id="acc-1",
        amount_minor=2**53 - 1,
        currency="KWD",
        policy_decision="allow",
        data={"nested": {"list": [1, 2], "text": "Ünïcode ⟦NAME_1⟧"}, "none": None},
    )


def place(connection: Connection[Any], waiting: list[WaitingEvent]) -> None:
    first = next_position(connection)
    record_positions(
        connection,
        [
            Placement(first + index, entry.event.event_id, hashlib.sha256(entry.event.event_id.encode()).digest())
            for index, entry in enumerate(waiting)
        ],
        ordinals=[entry.ordinal for entry in waiting],
    )


@pytest.mark.parametrize("role", APPENDERS)
def test_an_event_comes_back_with_the_same_digest(role: LoginRole, conn_as: ConnAs, tenant: Tenant) -> None:
    """The digest is the leaf of the log: a round trip through the database must not change one byte of it."""
    event = make_event(tenant)
    connection = conn_as(role, tenant)
    append_event(connection, event)
    found = find_event(connection, event.event_id)
    assert found is not None
    assert found.digest() == event.digest()
    assert list_events_of(connection, "txn_1") == [event]


@pytest.mark.parametrize("role", ["ai", "vault", "auditor"])
def test_other_roles_append_nothing(role: LoginRole, conn_as: ConnAs, tenant: Tenant) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        append_event(conn_as(role, tenant), make_event(tenant))


@pytest.mark.parametrize("role", LOGIN_ROLES)
@pytest.mark.parametrize("table", ["core.events", "core.event_positions", "core.idempotency_keys"])
def test_no_role_changes_what_was_written(table: str, role: LoginRole, conn_as: ConnAs, tenant: Tenant) -> None:
    connection = conn_as(role, tenant)
    for attack in (f"UPDATE {table} SET tenant_id = tenant_id", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(attack.encode())


@pytest.mark.parametrize("table", ["core.events", "core.event_positions", "core.idempotency_keys"])
def test_even_the_superuser_meets_the_guard(table: str, admin_conn: Connection[Any]) -> None:
    for attack in (f"UPDATE {table} SET tenant_id = tenant_id", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(errors.InsufficientPrivilege, match="only grows"):
            admin_conn.execute(attack.encode())


def test_events_get_a_gap_free_order(conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant) -> None:
    events = [make_event(tenant, after=timedelta(seconds=second)) for second in (2, 0, 1)]
    edge, gate = conn_as("edge", tenant), conn_as("gate", tenant)
    for event in events:
        append_event(edge, event)
    append_event(conn_as("edge", other_tenant), make_event(other_tenant))
    assert {tenant.tenant_id, other_tenant.tenant_id} <= set(list_waiting_tenants(conn_as("gate")))
    with gate.transaction():
        waiting = take_unsequenced(gate, 10)
        assert [entry.event for entry in waiting] == events
        place(gate, waiting[:2])
    with gate.transaction():
        place(gate, take_unsequenced(gate, 10))
    assert take_unsequenced(gate, 10) == []
    placed = list_events(edge, after_position=-1, limit=10)
    assert [item.placement.position for item in placed] == [0, 1, 2]
    assert [item.event for item in placed] == events
    assert [item.event for item in list_events(edge, after_position=0, limit=1)] == [events[1]]
    assert find_placement(edge, events[2].event_id) == placed[2].placement
    assert tenant.tenant_id not in list_waiting_tenants(conn_as("gate"))


def test_a_gap_a_second_place_and_a_short_leaf_are_refused(conn_as: ConnAs, tenant: Tenant) -> None:
    gate, leaf = conn_as("gate", tenant), bytes(32)
    first, second = make_event(tenant), make_event(tenant)
    append_event(gate, first)
    append_event(gate, second)
    ordinals = [entry.ordinal for entry in take_unsequenced(gate, 1)]
    for position in (-1, 1, 7):
        with pytest.raises(errors.CheckViolation):
            record_positions(gate, [Placement(position, first.event_id, leaf)], ordinals=ordinals)
    with pytest.raises(errors.CheckViolation):
        record_positions(gate, [Placement(0, first.event_id, leaf[1:])], ordinals=ordinals)
    record_positions(gate, [Placement(0, first.event_id, leaf)], ordinals=ordinals)
    assert [entry.event for entry in take_unsequenced(gate, 2)] == [second]
    with pytest.raises(errors.UniqueViolation):
        record_positions(gate, [Placement(1, first.event_id, leaf)], ordinals=[])
    with pytest.raises(errors.InsufficientPrivilege):
        record_positions(conn_as("executor", tenant), [Placement(1, second.event_id, leaf)], ordinals=[])


def test_an_event_without_a_canonical_form_is_refused(conn_as: ConnAs, tenant: Tenant) -> None:
    """It could never become a leaf, and the tenant's log would stand still behind it."""
    edge = conn_as("edge", tenant)
    for change in ({"amount_minor": 2**53}, {"data": {"rate": 0.1}}):
        with pytest.raises(NotCanonical):
            append_event(edge, make_event(tenant).model_copy(update=change))
    append_event(edge, make_event(tenant))
    with pytest.raises(errors.CheckViolation):
        edge.execute(
            "INSERT INTO core.events"
            " (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data, amount_minor)"
            " SELECT tenant_id, uuidv7(), event_type, source, subject, occurred_at, recorded_at, data, 9007199254740992"
            " FROM core.events"
        )


def test_a_rolled_back_event_does_not_wait(conn_as: ConnAs, tenant: Tenant) -> None:
    edge = conn_as("edge", tenant)
    with edge.transaction(force_rollback=True):
        append_event(edge, make_event(tenant))
    assert take_unsequenced(conn_as("gate", tenant), 10) == []


def test_a_second_sequencer_of_the_tenant_waits(conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant) -> None:
    first, second = conn_as("gate", tenant), conn_as("gate", tenant)
    second.execute("SET lock_timeout = '100ms'")
    with first.transaction():
        take_unsequenced(first, 1)
        with pytest.raises(errors.LockNotAvailable):
            take_unsequenced(second, 1)
        take_unsequenced(conn_as("gate", other_tenant), 1)
    take_unsequenced(second, 1)
