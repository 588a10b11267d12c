"""What decides is what was let in: policy, scores and baselines are stored by content, and checked against who approved them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from gates.policy.active import POLICY_NAME, PolicyShelf, install_bundle
from gates.policy.bundle import PolicyBundle
from gates.registry import BASELINE_KIND, POLICY_KIND, SCORE_KIND, InForce, ModelShelf, NoUsableScore, read_in_force
from gates.score.baselines import Baselines
from gates.score.model import ScoreModel
from gates.score.scorecard import InvalidScorecard
from storage.named_queries import load_queries
from storage.registry import PRODUCTION, Artifact, register_artifact, require_approved
from storage.registry_changes import install_first

_QUERIES = load_queries(Path(__file__).parents[1] / "sql" / "registry.sql")
_REF = re.compile(r"[a-z]+:(?P<name>[^@]+)@(?P<version>[^:]+):(?P<sha256>[0-9a-f]{64})")


def install_artifacts(
    connection: Connection[Any],
    *,
    bundle: PolicyBundle,
    scorecard: ScoreModel,
    tenant_id: str,
    now: datetime,
    moved_by: str,
) -> None:
    """Store what came with the release, and put it in force where nothing is. Idempotent. Role gate."""
    install_bundle(connection, bundle, tenant_id=tenant_id, now=now, moved_by=moved_by)
    install_score(connection, scorecard, tenant_id=tenant_id, now=now, moved_by=moved_by)


def install_score(connection: Connection[Any], model: ScoreModel, *, tenant_id: str, now: datetime, moved_by: str) -> None:
    """Store a checked score model and put it in force where none of its name is. Idempotent. Role gate."""
    artifact = store_score(connection, model, tenant_id=tenant_id, lineage={"registered_by": moved_by}, now=now)
    install_first(connection, artifact, now=now, moved_by=moved_by)


def store_score(
    connection: Connection[Any], model: ScoreModel, *, tenant_id: str, lineage: Mapping[str, Any], now: datetime
) -> Artifact:
    """Store a checked score model and register it as a candidate. Idempotent by its content. Role gate."""
    match = _REF.fullmatch(model.ref)
    if match is None:
        raise InvalidScorecard(f"{model.ref}: names no score model with its hash")
    parameters = {"tenant_id": tenant_id, "ref": model.ref, "content": Jsonb(dict(model.content))}
    connection.execute(_QUERIES["insert_score_card"], parameters)
    artifact = Artifact(
        tenant_id=tenant_id,
        kind=SCORE_KIND,
        name=match["name"],
        version=f"{match['name']}@{match['version']}+{match['sha256'][:12]}",
        sha256=match["sha256"],
        location="gate.score_cards",
        lineage=dict(lineage),
        created_at=now,
    )
    register_artifact(connection, artifact)
    return artifact


def store_baselines(
    connection: Connection[Any], baselines: Baselines, *, tenant_id: str, lineage: Mapping[str, Any], now: datetime
) -> Artifact:
    """Store checked baselines and register them as a candidate. Idempotent by their content. Role gate."""
    name, sha256 = f"{baselines.subject}-baselines", baselines.ref.rpartition(":")[2]
    content = Jsonb(baselines.model_dump(mode="json"))
    connection.execute(_QUERIES["insert_baselines"], {"tenant_id": tenant_id, "sha256": sha256, "content": content})
    artifact = Artifact(
        tenant_id=tenant_id,
        kind=BASELINE_KIND,
        name=name,
        version=f"{name}@{baselines.until[:10]}+{sha256[:12]}",
        sha256=sha256,
        location="gate.baselines",
        lineage=dict(lineage),
        created_at=now,
    )
    register_artifact(connection, artifact)
    return artifact


def require_artifacts(connection: Connection[Any], *, shelf: PolicyShelf, models: ModelShelf) -> None:
    """Refuse to go on with a policy, a score or a baseline in force that nobody approved, or whose content was changed.

    Raises: UnapprovedArtifact, NoUsablePolicy, NoUsableScore.
    """
    active = shelf.find_active(connection)
    require_approved(connection, kind=POLICY_KIND, name=POLICY_NAME, sha256=active.sha256)
    in_force = read_in_force(connection)
    if PRODUCTION not in in_force.aliases_of(SCORE_KIND, in_force.name_of_score("")):
        raise NoUsableScore(f"no score has the alias `{PRODUCTION}` for this tenant")
    for kind, load in ((SCORE_KIND, models.load_score), (BASELINE_KIND, models.load_baselines)):
        for name, sha256 in _list_in_force(in_force, kind):
            require_approved(connection, kind=kind, name=name, sha256=sha256)
            load(connection, sha256)


def _list_in_force(in_force: InForce, kind: str) -> list[tuple[str, str]]:
    return [
        (name, aliases[PRODUCTION].sha256)
        for (held, name), aliases in sorted(in_force.targets.items())
        if held == kind and PRODUCTION in aliases
    ]
