"""The one registry of everything versioned: what exists, where it came from, and which version a name stands for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from domain.errors import BrokenInvariant, Conflict, NotFound, SetupError
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "registry.sql")

PRODUCTION = "production"
"""The alias of the version that is in force."""

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


class UnapprovedArtifact(SetupError):
    """Say that a content is not the one that people put in force. Nothing starts with it."""

    code = "artifact_unapproved"


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


@dataclass(frozen=True, slots=True)
class AliasTarget:
    """Hold what an alias stands for; `percent` is how many of a hundred acts, None is all of them."""

    alias: str
    version: str
    sha256: str
    percent: int | None


@dataclass(frozen=True, slots=True)
class Move:
    """Hold one move of an alias. `approved_by` is the second person, `release` at set-up, or whoever stepped back alone."""

    tenant_id: str
    kind: str
    name: str
    alias: str
    from_version: str | None
    to_version: str
    moved_by: str
    approved_by: str
    moved_at: datetime
    reason: str
    change_id: str | None = None
    percent: int | None = None


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


def resolve_alias(connection: Connection[Any], *, kind: str, name: str, alias: str = PRODUCTION) -> Artifact:
    """Return the version that an alias stands for. Raises: UnknownArtifact."""
    found = _fetch(connection, "resolve_alias", {"kind": kind, "name": name, "alias": alias})
    if found is None:
        raise UnknownArtifact(f"{kind} {name} has no alias {alias}")
    return found


def list_aliases(connection: Connection[Any], *, kind: str, name: str) -> dict[str, AliasTarget]:
    """Return what each alias of a name stands for."""
    with connection.cursor(row_factory=class_row(AliasTarget)) as cursor:
        return {target.alias: target for target in cursor.execute(_QUERIES["list_aliases"], {"kind": kind, "name": name})}


def list_names(connection: Connection[Any]) -> list[tuple[str, str]]:
    """Return every kind and name that something is registered under."""
    return [(row[0], row[1]) for row in connection.execute(_QUERIES["list_names"])]


def find_by_hash(connection: Connection[Any], *, kind: str, name: str, sha256: str) -> Artifact | None:
    """Return the version of a name that has this content, whatever it was called; None when nobody registered it."""
    found = [one for one in list_artifacts(connection, kind=kind, name=name) if one.sha256 == sha256]
    return found[-1] if found else None


def list_artifacts(connection: Connection[Any], *, kind: str, name: str) -> list[Artifact]:
    """Return every version of a name, the latest first."""
    with connection.cursor(row_factory=class_row(Artifact)) as cursor:
        return cursor.execute(_QUERIES["list_artifacts"], {"kind": kind, "name": name}).fetchall()


def move_alias(connection: Connection[Any], move: Move) -> None:
    """Let an alias stand for a version, with the record of who did it. Role gate.

    The database refuses a move without a change that a second person approved; what else may move stands in migration 0025.
    Raises: UnknownArtifact, psycopg.errors.InsufficientPrivilege, psycopg.errors.SerializationFailure (it moved meanwhile).
    """
    find_artifact(connection, kind=move.kind, name=move.name, version=move.to_version)
    parameters = {field.name: getattr(move, field.name) for field in fields(move)}
    connection.execute(_QUERIES["insert_move"], parameters)
    connection.execute(_QUERIES["move_alias"], parameters)


def list_moves(connection: Connection[Any], *, kind: str, name: str, alias: str) -> list[Move]:
    """Return the moves of an alias, the latest first."""
    with connection.cursor(row_factory=class_row(Move)) as cursor:
        return cursor.execute(_QUERIES["list_moves"], {"kind": kind, "name": name, "alias": alias}).fetchall()


def require_approved(connection: Connection[Any], *, kind: str, name: str, sha256: str) -> Artifact:
    """Return the version of this content if it is in force and a second person, or the release, let it in.

    Raises: UnapprovedArtifact.
    """
    artifact = _fetch(connection, "find_approved", {"kind": kind, "name": name, "sha256": sha256, "alias": PRODUCTION})
    if artifact is None:
        raise UnapprovedArtifact(
            f"{kind} {name} with the content {sha256[:12]} is not the approved one: start with the version that is in force,"
            " or let two people put this one in force first"
        )
    return artifact


def set_state(connection: Connection[Any], *, kind: str, name: str, version: str, state: ArtifactState) -> None:
    """Say how far a version has come. Role gate. Raises: UnknownArtifact."""
    parameters = {"kind": kind, "name": name, "version": version, "state": state}
    if connection.execute(_QUERIES["set_state"], parameters).rowcount != 1:
        raise UnknownArtifact(f"no {kind} {name} of version {version}")


def _fetch(connection: Connection[Any], query: str, parameters: Mapping[str, str]) -> Artifact | None:
    with connection.cursor(row_factory=class_row(Artifact)) as cursor:
        return cursor.execute(_QUERIES[query], parameters).fetchone()
