"""A version keeps its content for ever; an alias is what moves."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import Connection, errors

from domain.ids import make_id
from storage.registry import (
    Artifact,
    ArtifactChanged,
    ContentMismatch,
    Move,
    UnapprovedArtifact,
    UnknownArtifact,
    find_artifact,
    list_aliases,
    move_alias,
    register_artifact,
    require_approved,
    resolve_alias,
)
from storage.registry_changes import (
    Change,
    ChangeNotOpen,
    ChangePending,
    ChangeStale,
    ChangeTarget,
    NothingToRollBack,
    OwnChange,
    approve_change,
    request_change,
    roll_back,
)
from tests.conftest import ConnAs, Tenant

NOW = datetime(2026, 5, 4, tzinfo=UTC)
CONTENT = b"permit (principal, action, resource);"


def make_artifact(tenant: Tenant, version: str = "1") -> Artifact:
    return Artifact(
        tenant_id=tenant.tenant_id,
        kind="policy",
        name="refunds",
        version=version,
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        location="gates/policies/refunds.cedar",
        lineage={"parent": None},
        created_at=NOW,
        approvals=({"by": "u-1"},),
    )


def make_move(
    tenant: Tenant, to_version: str, *, alias: str = "production", from_version: str | None = None, **parts: Any
) -> Move:
    usual: dict[str, Any] = {"moved_by": "set-up", "approved_by": "release", "reason": "first", "moved_at": NOW}
    return Move(
        tenant_id=tenant.tenant_id,
        kind="policy",
        name="refunds",
        alias=alias,
        from_version=from_version,
        to_version=to_version,
        **{**usual, **parts},
    )


def ask_for(
    gate: Connection[Any], tenant: Tenant, version: str, *, base: str | None, target: ChangeTarget = "champion", **parts: Any
) -> str:
    change_id = make_id("chg", NOW)
    usual: dict[str, Any] = {"percent": None, "requested_by": "opr_kim", "requested_at": NOW, "reason": "tried", "drift": None}
    request_change(
        gate,
        Change(
            tenant_id=tenant.tenant_id,
            change_id=change_id,
            kind="policy",
            name="refunds",
            version=version,
            sha256=hashlib.sha256(CONTENT).hexdigest(),
            base_version=base,
            target=target,
            **{**usual, **parts},
        ),
    )
    return change_id


@pytest.fixture
def gate(conn_as: ConnAs, tenant: Tenant) -> Connection[Any]:
    """A connection of the gate on a registry with three versions, the first of them in force."""
    connection = conn_as("gate", tenant)
    for version in ("1", "2", "3"):
        register_artifact(connection, make_artifact(tenant, version))
    move_alias(connection, make_move(tenant, "1"))
    return connection


def in_force(connection: Connection[Any]) -> str:
    return resolve_alias(connection, kind="policy", name="refunds").version


def roll(gate: Connection[Any], tenant: Tenant) -> Move:
    return roll_back(
        gate, tenant_id=tenant.tenant_id, kind="policy", name="refunds", moved_by="opr_lee", reason="too many reviews", now=NOW
    )


def test_two_people_move_an_alias_and_one_takes_it_back(
    gate: Connection[Any], conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant
) -> None:
    change_id = ask_for(gate, tenant, "2", base="1")
    with pytest.raises(OwnChange):
        approve_change(gate, change_id, approved_by="opr_kim", now=NOW)
    assert in_force(gate) == "1"
    assert approve_change(gate, change_id, approved_by="opr_lee", now=NOW).state == "done"
    found = resolve_alias(conn_as("ai", tenant), kind="policy", name="refunds")
    assert (found.version, found.state) == ("2", "champion")
    found.verify(CONTENT)
    assert find_artifact(gate, kind="policy", name="refunds", version="1").state == "retired"
    with pytest.raises(ChangeNotOpen):
        approve_change(gate, change_id, approved_by="opr_ned", now=NOW)
    assert roll(gate, tenant).to_version == "1"
    assert in_force(gate) == "1"
    with pytest.raises(NothingToRollBack):
        roll(gate, tenant)
    forward = make_move(tenant, "2", from_version="1", moved_by="opr_lee", approved_by="opr_lee")
    with pytest.raises(errors.InsufficientPrivilege), gate.transaction():
        move_alias(gate, forward)
    with pytest.raises(UnknownArtifact):
        resolve_alias(conn_as("gate", other_tenant), kind="policy", name="refunds")


def test_what_was_compared_is_what_changes(gate: Connection[Any], tenant: Tenant) -> None:
    stale = ask_for(gate, tenant, "3", base="1", target="canary", percent=5)
    approve_change(gate, ask_for(gate, tenant, "2", base="1"), approved_by="opr_lee", now=NOW)
    with pytest.raises(ChangeStale):
        approve_change(gate, stale, approved_by="opr_lee", now=NOW)


def test_one_change_at_a_time(gate: Connection[Any], tenant: Tenant) -> None:
    ask_for(gate, tenant, "2", base="1")
    with pytest.raises(ChangePending):
        ask_for(gate, tenant, "3", base="1")


def test_a_canary_has_its_share_until_something_else_is_in_force(gate: Connection[Any], tenant: Tenant) -> None:
    approve_change(gate, ask_for(gate, tenant, "2", base="1", target="canary", percent=7), approved_by="opr_lee", now=NOW)
    canary = list_aliases(gate, kind="policy", name="refunds")["canary"]
    assert (canary.version, canary.percent) == ("2", 7)
    approve_change(gate, ask_for(gate, tenant, "3", base="1"), approved_by="opr_lee", now=NOW)
    assert {target.version for target in list_aliases(gate, kind="policy", name="refunds").values()} == {"3"}


FORGED: dict[str, dict[str, Any]] = {
    "nobody_agreed": {},
    "release_again": {"moved_by": "set-up", "approved_by": "release"},
    "alone": {"moved_by": "opr_kim", "approved_by": "opr_kim"},
    "unknown_change": {"change_id": "chg_" + "0" * 32, "moved_by": "opr_kim", "approved_by": "opr_lee"},
}


@pytest.mark.parametrize("name", sorted(FORGED))
@pytest.mark.parametrize("alias", ["production", "canary"])
def test_the_database_moves_no_alias_without_its_change(gate: Connection[Any], tenant: Tenant, name: str, alias: str) -> None:
    move = make_move(tenant, "2", alias=alias, from_version="1" if alias == "production" else None, **FORGED[name])
    with pytest.raises(errors.InsufficientPrivilege):
        move_alias(gate, move)
    gate.rollback()
    assert "2" not in {target.version for target in list_aliases(gate, kind="policy", name="refunds").values()}


def test_an_open_change_moves_nothing(gate: Connection[Any], tenant: Tenant) -> None:
    change_id = ask_for(gate, tenant, "2", base="1")
    with pytest.raises(errors.InsufficientPrivilege):
        move_alias(gate, make_move(tenant, "2", from_version="1", change_id=change_id, moved_by="opr_kim", approved_by="opr_lee"))


def test_an_alias_alone_does_not_move(gate: Connection[Any]) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        gate.execute("UPDATE core.registry_aliases SET version = '2'")


def test_a_move_is_from_where_the_alias_stands(gate: Connection[Any], tenant: Tenant) -> None:
    with pytest.raises(errors.SerializationFailure):
        move_alias(gate, make_move(tenant, "2", from_version="3"))


def test_only_what_came_into_force_is_approved(gate: Connection[Any], conn_as: ConnAs, tenant: Tenant) -> None:
    other = replace(make_artifact(tenant, "9"), sha256="9" * 64)
    register_artifact(gate, other)
    assert require_approved(gate, kind="policy", name="refunds", sha256=make_artifact(tenant).sha256).version == "1"
    with pytest.raises(UnapprovedArtifact):
        require_approved(gate, kind="policy", name="refunds", sha256=other.sha256)


def test_another_content_under_the_same_version_is_refused(conn_as: ConnAs, tenant: Tenant) -> None:
    gate, artifact = conn_as("gate", tenant), make_artifact(tenant)
    register_artifact(gate, artifact)
    with pytest.raises(ArtifactChanged):
        register_artifact(gate, replace(artifact, sha256="0" * 64))
    with pytest.raises(ContentMismatch):
        artifact.verify(CONTENT + b" ")
    with pytest.raises(errors.InsufficientPrivilege):
        gate.execute("UPDATE core.registry_artifacts SET sha256 = REPEAT('0', 64)")


def test_an_alias_of_nothing_and_a_foreign_hand_are_refused(conn_as: ConnAs, tenant: Tenant) -> None:
    with pytest.raises(UnknownArtifact):
        move_alias(conn_as("gate", tenant), make_move(tenant, "9"))
    register_artifact(conn_as("jobs", tenant), make_artifact(tenant))
    for role in ("edge", "ai", "executor", "jobs"):
        with pytest.raises(errors.InsufficientPrivilege):
            move_alias(conn_as(role, tenant), make_move(tenant, "1"))
