"""What is registered: every version of a name with the aliases that stand for it, and how its name moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from domain.errors import InvalidInput
from gates.policy.active import POLICY_NAME
from gates.registry import CANARY, POLICY_KIND, SHADOW
from gates.submission import GateScope
from storage.registry import PRODUCTION, Artifact, Move, list_aliases, list_artifacts, list_moves, list_names
from storage.registry_changes import Change, list_changes
from storage.unit_of_work import unit_of_work


class UnknownBundle(InvalidInput):
    """Say that no bundle with this address, or this beginning of one, is registered."""

    code = "unknown_bundle"


@dataclass(frozen=True, slots=True)
class Shelved:
    """Hold a registered version and the aliases that stand for it."""

    artifact: Artifact
    aliases: tuple[str, ...]
    percent: int | None


def list_shelf(scope: GateScope, *, kind: str = POLICY_KIND, name: str = POLICY_NAME) -> tuple[list[Shelved], list[Change]]:
    """Return every registered version of a name, the latest first, and the changes that people asked for."""
    with unit_of_work(scope.pool, scope.context) as connection:
        return _read_shelf(connection, kind=kind, name=name)


def list_registry(scope: GateScope) -> dict[tuple[str, str], tuple[list[Shelved], list[Change]]]:
    """Return the shelf of every kind and name."""
    with unit_of_work(scope.pool, scope.context) as connection:
        return {(kind, name): _read_shelf(connection, kind=kind, name=name) for kind, name in list_names(connection)}


def show_artifact(scope: GateScope, *, kind: str, name: str, sha256: str) -> tuple[Shelved, list[Move]]:
    """Return one version (12 hex digits are enough) and every move of its name, the latest first. Raises: UnknownBundle."""
    with unit_of_work(scope.pool, scope.context) as connection:
        version = require_version(connection, sha256, kind=kind, name=name).version
        shelved, _ = _read_shelf(connection, kind=kind, name=name)
        moves = [
            move for alias in (PRODUCTION, CANARY, SHADOW) for move in list_moves(connection, kind=kind, name=name, alias=alias)
        ]
    moves.sort(key=lambda move: move.moved_at, reverse=True)
    return next(one for one in shelved if one.artifact.version == version), moves


def _read_shelf(connection: Connection[Any], *, kind: str, name: str) -> tuple[list[Shelved], list[Change]]:
    aliases = list_aliases(connection, kind=kind, name=name)
    artifacts = list_artifacts(connection, kind=kind, name=name)
    changes = list_changes(connection, kind=kind, name=name)
    shelved = [
        Shelved(
            artifact=artifact,
            aliases=tuple(sorted(alias for alias, target in aliases.items() if target.version == artifact.version)),
            percent=aliases[CANARY].percent if CANARY in aliases and aliases[CANARY].version == artifact.version else None,
        )
        for artifact in artifacts
    ]
    return shelved, changes


def require_version(connection: Connection[Any], sha256: str, *, kind: str, name: str) -> Artifact:
    """Return the one version whose hash begins so; 12 digits are enough. Raises: UnknownBundle."""
    found = [
        artifact
        for artifact in list_artifacts(connection, kind=kind, name=name)
        if len(sha256) >= 12 and artifact.sha256.startswith(sha256)
    ]
    if len(found) != 1:
        raise UnknownBundle(f"none or more than one {kind} {name} is registered with a hash that begins with {sha256[:64]!r}")
    return found[0]
