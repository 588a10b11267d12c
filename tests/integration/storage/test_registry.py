"""A version keeps its content for ever; an alias is what moves."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from psycopg import errors

from storage.registry import (
    Artifact,
    ArtifactChanged,
    ContentMismatch,
    UnknownArtifact,
    find_artifact,
    move_alias,
    register_artifact,
    resolve_alias,
    set_state,
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


def test_an_alias_moves_forward_and_back(conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant) -> None:
    gate = conn_as("gate", tenant)
    for version in ("1", "2", "1"):
        register_artifact(gate, make_artifact(tenant, version))
        move_alias(
            gate,
            tenant_id=tenant.tenant_id,
            kind="policy",
            name="refunds",
            alias="champion",
            version=version,
            moved_by="u-1",
            now=NOW,
        )
        found = resolve_alias(conn_as("ai", tenant), kind="policy", name="refunds")
        assert found.version == version
        found.verify(CONTENT)
    set_state(gate, kind="policy", name="refunds", version="2", state="retired")
    assert find_artifact(gate, kind="policy", name="refunds", version="2").state == "retired"
    with pytest.raises(UnknownArtifact):
        resolve_alias(conn_as("gate", other_tenant), kind="policy", name="refunds")


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
    parts = {"tenant_id": tenant.tenant_id, "kind": "policy", "name": "refunds", "alias": "champion", "moved_by": "u-1"}
    with pytest.raises(UnknownArtifact):
        move_alias(conn_as("gate", tenant), version="9", now=NOW, **parts)
    register_artifact(conn_as("jobs", tenant), make_artifact(tenant))
    for role in ("edge", "ai", "executor", "jobs"):
        with pytest.raises(errors.InsufficientPrivilege):
            move_alias(conn_as(role, tenant), version="1", now=NOW, **parts)
