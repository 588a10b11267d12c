"""Nothing decides that nobody let in: policy and scorecard must be the approved ones, with their approved content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from gates.policy.active import POLICY_KIND, POLICY_NAME, PolicyShelf, install_bundle, install_first
from gates.policy.bundle import PolicyBundle
from gates.score.model import ScoreModel
from gates.score.scorecard import InvalidScorecard, Scorecard
from storage.named_queries import load_queries
from storage.registry import Artifact, register_artifact, require_approved

_QUERIES = load_queries(Path(__file__).parents[1] / "sql" / "policies.sql")
SCORE_KIND = "score"
_REF = re.compile(r"[a-z]+:(?P<name>[^@]+)@(?P<version>[^:]+):(?P<sha256>[0-9a-f]{64})")


def install_artifacts(
    connection: Connection[Any],
    *,
    bundle: PolicyBundle,
    scorecard: Scorecard,
    tenant_id: str,
    now: datetime,
    moved_by: str,
) -> None:
    """Store what came with the release, and put it in force where nothing is. Idempotent. Role gate."""
    install_bundle(connection, bundle, tenant_id=tenant_id, now=now, moved_by=moved_by)
    artifact = store_score(connection, scorecard, tenant_id=tenant_id, lineage={"registered_by": moved_by}, now=now)
    install_first(connection, artifact, now=now, moved_by=moved_by)


def store_score(
    connection: Connection[Any], model: ScoreModel, *, tenant_id: str, lineage: Mapping[str, Any], now: datetime
) -> Artifact:
    """Store a checked score model and register it as a candidate. Idempotent by its content. Role gate."""
    name, version, sha256 = _read_ref(model)
    parameters = {"tenant_id": tenant_id, "ref": model.ref, "content": Jsonb(dict(model.content))}
    connection.execute(_QUERIES["insert_score_card"], parameters)
    artifact = Artifact(
        tenant_id=tenant_id,
        kind=SCORE_KIND,
        name=name,
        version=f"{name}@{version}+{sha256[:12]}",
        sha256=sha256,
        location="gate.score_cards",
        lineage=dict(lineage),
        created_at=now,
    )
    register_artifact(connection, artifact)
    return artifact


def require_artifacts(connection: Connection[Any], *, shelf: PolicyShelf, scorecard: Scorecard) -> None:
    """Refuse to go on with a policy or a scorecard that nobody approved. Raises: UnapprovedArtifact, NoUsablePolicy."""
    active = shelf.find_active(connection)
    require_approved(connection, kind=POLICY_KIND, name=POLICY_NAME, sha256=active.sha256)
    name, _, sha256 = _read_ref(scorecard)
    require_approved(connection, kind=SCORE_KIND, name=name, sha256=sha256)


def _read_ref(model: ScoreModel) -> tuple[str, str, str]:
    match = _REF.fullmatch(model.ref)
    if match is None:
        raise InvalidScorecard(f"{model.ref}: names no score model with its hash")
    return match["name"], match["version"], match["sha256"]
