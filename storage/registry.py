"""The one registry of everything versioned: what exists, where it came from, and which version a name stands for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from domain.errors import BrokenInvariant, Conflict, NotFound
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "registry.sql")

ArtifactState = Literal["candidate", "shadow", "canary", "champion", "retired"]


class UnknownArtifact(NotFound):
    """Say that no such artifact or alias is registered."""

    code = "unknown_artifact"


class ArtifactChanged(Conflict):
    """Say that the same kind, name and version is registered with another content."""

    code = "artifact_changed"


class ContentMismatch(BrokenInvariant):
    """Say that a content is not the one that was registered."""

    code = "artifact_content_mismatch"


@dataclass(frozen=True, slots=True)
class Artifact:
    """Hold one version of one thing. `kind` is a word such as `policy` or `prompt`; `location` says where its content is.

    `sha256` is of the content (hex); `lineage` says what it was made from; `approvals` who let it in.
    """

    tenant_id: str
    kind: str
    name: str
    version: str
    sha256: str
    location: str
    lineage: Mapping[str, Any]
    created_at: datetime
    state: ArtifactState = "candidate"
    approvals: tuple[Mapping[str, Any], ...] = ()

    def verify(self, content: bytes) -> None:
        """Compare a content with the registered hash. Raises: ContentMismatch."""
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise ContentMismatch(f"{self.kind} {self.name} {self.version}: the content at {self.location} was changed")


def register_artifact(connection: Connection[Any], artifact: Artifact) -> None:
    """Register a version. Again with the same content does nothing. Roles gate and jobs. Raises: ArtifactChanged."""
    parameters = {
        "tenant_id": artifact.tenant_id,
        "kind": artifact.kind,
        "name": artifact.name,
        "version": artifact.version,
        "sha256": artifact.sha256,
        "location": artifact.location,
        "lineage": Jsonb(dict(artifact.lineage)),
        "state": artifact.state,
        "approvals": Jsonb([dict(approval) for approval in artifact.approvals]),
        "created_at": artifact.created_at,
    }
    connection.execute(_QUERIES["insert_artifact"], parameters)
    known = find_artifact(connection, kind=artifact.kind, name=artifact.name, version=artifact.version)
    if known.sha256 != artifact.sha256:
        raise ArtifactChanged(f"{artifact.kind} {artifact.name} {artifact.version} is registered with another content")


def find_artifact(connection: Connection[Any], *, kind: str, name: str, version: str) -> Artifact:
    """Return a version. Raises: UnknownArtifact."""
    found = _fetch(connection, "find_artifact", {"kind": kind, "name": name, "version": version})
    if found is None:
        raise UnknownArtifact(f"no {kind} {name} of version {version}")
    return found


def resolve_alias(connection: Connection[Any], *, kind: str, name: str, alias: str = "champion") -> Artifact:
    """Return the version that an alias stands for. Raises: UnknownArtifact."""
    found = _fetch(connection, "resolve_alias", {"kind": kind, "name": name, "alias": alias})
    if found is None:
        raise UnknownArtifact(f"{kind} {name} has no alias {alias}")
    return found


def move_alias(
    connection: Connection[Any],
    *,
    tenant_id: str,
    kind: str,
    name: str,
    alias: str,
    version: str,
    moved_by: str,
    now: datetime,
) -> None:
    """Let an alias stand for a version; a move back is the rollback. Role gate. Raises: UnknownArtifact."""
    find_artifact(connection, kind=kind, name=name, version=version)
    parameters = {"tenant_id": tenant_id, "kind": kind, "name": name, "alias": alias, "version": version}
    connection.execute(_QUERIES["move_alias"], {**parameters, "moved_by": moved_by, "now": now})


def set_state(connection: Connection[Any], *, kind: str, name: str, version: str, state: ArtifactState) -> None:
    """Say how far a version has come. Role gate. Raises: UnknownArtifact."""
    parameters = {"kind": kind, "name": name, "version": version, "state": state}
    if connection.execute(_QUERIES["set_state"], parameters).rowcount != 1:
        raise UnknownArtifact(f"no {kind} {name} of version {version}")


def _fetch(connection: Connection[Any], query: str, parameters: Mapping[str, str]) -> Artifact | None:
    with connection.cursor(row_factory=class_row(Artifact)) as cursor:
        return cursor.execute(_QUERIES[query], parameters).fetchone()
