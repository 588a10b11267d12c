"""What comes in, as candidates: bundles, score models and baselines with their content, files of other planes by their hash."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.errors import InvalidInput
from gates.people import require_person
from gates.policy.active import store_bundle
from gates.policy.artifacts import store_baselines, store_score
from gates.policy.bundle import PolicyBundle
from gates.policy.lifecycle import EDITORS, append_registry_event
from gates.score.baselines import Baselines
from gates.score.model import ScoreModel
from gates.submission import GateScope
from storage.registry import Artifact, find_by_hash, register_artifact
from storage.registry_start import FoundVersion
from storage.unit_of_work import unit_of_work

FILE_KINDS = frozenset({"prompt", "language_model", "ner", "ocr", "list", "thresholds"})
"""Kinds whose content lies in files that other processes load; the registry holds their hash."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class FileArtifact:
    """Hold a file or a folder as somebody measured it."""

    kind: str
    name: str
    found: FoundVersion


def register_policy(scope: GateScope, bundle: PolicyBundle, session_token: str, *, now: datetime) -> Artifact:
    """Register a checked bundle as a candidate, in an admin's name. Idempotent. Raises: NotSignedIn, NotPermitted."""
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=EDITORS)
        artifact = store_bundle(connection, bundle, tenant_id=scope.tenant_id, now=now, registered_by=person.operator_id)
        append_registry_event(connection, scope, "gate.policy_registered", artifact.sha256, _told(artifact), now)
        return artifact


def register_model(
    scope: GateScope, model: ScoreModel | Baselines, session_token: str, *, lineage: Mapping[str, Any], now: datetime
) -> Artifact:
    """Register a checked score model, or baselines, as a candidate, in an admin's name. Idempotent.

    Raises: NotSignedIn, NotPermitted.
    """
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=EDITORS)
        made_from = {**lineage, "registered_by": person.operator_id}
        if isinstance(model, Baselines):
            artifact = store_baselines(connection, model, tenant_id=scope.tenant_id, lineage=made_from, now=now)
        else:
            artifact = store_score(connection, model, tenant_id=scope.tenant_id, lineage=made_from, now=now)
        append_registry_event(connection, scope, f"gate.{artifact.kind}_registered", artifact.sha256, _told(artifact), now)
        return artifact


def register_file(scope: GateScope, wanted: FileArtifact, session_token: str, *, now: datetime) -> Artifact:
    """Register the hash of a file as a candidate, in an admin's name: it can be approved before it is put in place. Idempotent.

    Raises: NotSignedIn, NotPermitted, InvalidInput.
    """
    found = wanted.found
    if wanted.kind not in FILE_KINDS:
        raise InvalidInput(f"no kind {wanted.kind[:40]!r} of files: one of {', '.join(sorted(FILE_KINDS))}", code="unknown_kind")
    if not _NAME.fullmatch(wanted.name) or not _SHA256.fullmatch(found.sha256):
        raise InvalidInput("a name is of small letters and digits, a hash of 64 hex digits", code="invalid_artifact")
    if not 0 < len(found.label) <= _MAX_TEXT or len(found.location) > _MAX_TEXT:
        raise InvalidInput(f"label and location have at most {_MAX_TEXT} characters", code="invalid_artifact")
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=EDITORS)
        known = find_by_hash(connection, kind=wanted.kind, name=wanted.name, sha256=found.sha256)
        if known is not None:
            return known
        artifact = Artifact(
            tenant_id=scope.tenant_id,
            kind=wanted.kind,
            name=wanted.name,
            version=found.version,
            sha256=found.sha256,
            location=found.location,
            lineage={**found.lineage, "registered_by": person.operator_id},
            created_at=now,
        )
        register_artifact(connection, artifact)
        append_registry_event(connection, scope, f"gate.{artifact.kind}_registered", artifact.sha256, _told(artifact), now)
        return artifact


def _told(artifact: Artifact) -> dict[str, Any]:
    return {
        "kind": artifact.kind,
        "name": artifact.name,
        "version": artifact.version,
        "sha256": artifact.sha256,
        "registered_by": artifact.lineage["registered_by"],
    }
