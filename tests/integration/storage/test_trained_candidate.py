"""What training made can be registered; registered is not approved, and no name stands for it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.canonical import canonical_bytes
from storage.registry import (
    ContentMismatch,
    UnapprovedArtifact,
    UnknownArtifact,
    find_artifact,
    register_artifact,
    require_approved,
    resolve_alias,
)
from tests.conftest import ConnAs, Tenant
from training.artifact import Candidate

NOW = datetime(2026, 11, 2, tzinfo=UTC)
CONTENT = {
    "format": "tellergate-scorecard/1",
    "name": "payment",
    "version": "20260801.1",
    "base_points": 40,
    "characteristics": [],
}


def test_a_trained_score_is_a_candidate_and_no_more(conn_as: ConnAs, tenant: Tenant) -> None:
    candidate = Candidate("score", "payment", "20260801.1", CONTENT, {"seed": 1, "training_data_sha256": "ab"})
    artifact = candidate.to_artifact(tenant_id=tenant.tenant_id, location="training", now=NOW)
    connection = conn_as("gate", tenant)
    register_artifact(connection, artifact)
    register_artifact(connection, artifact)
    held = find_artifact(connection, kind="score", name="payment", version=artifact.version)
    assert (held.state, held.sha256, dict(held.lineage)) == (
        "candidate",
        candidate.sha256,
        {"seed": 1, "training_data_sha256": "ab"},
    )
    held.verify(canonical_bytes(CONTENT))
    with pytest.raises(ContentMismatch):
        held.verify(canonical_bytes(CONTENT | {"base_points": 0}))
    with pytest.raises(UnapprovedArtifact):
        require_approved(connection, kind="score", name="payment", sha256=candidate.sha256)
    with pytest.raises(UnknownArtifact):
        resolve_alias(connection, kind="score", name="payment")
