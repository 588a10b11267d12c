"""Which bundle is in force for a tenant? The registry's alias says; the content is checked against its address at load."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from domain.errors import Unavailable
from gates.policy.bundle import InvalidBundle, PolicyBundle, load_bundle_content
from storage.named_queries import load_queries
from storage.registry import Artifact, UnknownArtifact, move_alias, register_artifact, resolve_alias

_QUERIES = load_queries(Path(__file__).parents[1] / "sql" / "policies.sql")
_KIND = "policy"
_NAME = "gate"
_ALIAS = "production"
_MAX_CACHED = 16


class NoUsablePolicy(Unavailable):
    """Say that no policy is in force for this tenant, or that the one in force fails its checks: nothing is decided."""

    code = "no_usable_policy"


class PolicyShelf:
    """Keep parsed bundles by address. Only parsing is saved: which bundle is in force is asked for every decision."""

    def __init__(self) -> None:
        self._bundles: dict[str, PolicyBundle] = {}
        self._lock = Lock()

    def find_active(self, connection: Connection[Any]) -> PolicyBundle:
        """Return the bundle in force in the caller's transaction. Raises: NoUsablePolicy."""
        try:
            sha256 = resolve_alias(connection, kind=_KIND, name=_NAME, alias=_ALIAS).sha256
        except UnknownArtifact as error:
            raise NoUsablePolicy(f"no policy bundle has the alias `{_ALIAS}` for this tenant") from error
        with self._lock:
            known = self._bundles.get(sha256)
        return known if known is not None else self._load(connection, sha256)

    def _load(self, connection: Connection[Any], sha256: str) -> PolicyBundle:
        row = connection.execute(_QUERIES["find_bundle"], {"sha256": sha256}).fetchone()
        if row is None:
            raise NoUsablePolicy(f"the policy bundle {sha256} in force is not stored")
        try:
            bundle = load_bundle_content(row[0], expected_sha256=sha256)
        except InvalidBundle as error:
            raise NoUsablePolicy(error.message) from error
        with self._lock:
            if len(self._bundles) >= _MAX_CACHED:
                self._bundles.clear()
            self._bundles[sha256] = bundle
        return bundle


def install_bundle(connection: Connection[Any], bundle: PolicyBundle, *, tenant_id: str, now: datetime, moved_by: str) -> None:
    """Store a checked bundle and put it in force where none is. Idempotent; never moves an alias that stands. Role gate."""
    # The same name and version with other content is another artifact.
    version = f"{bundle.manifest.name}@{bundle.manifest.version}+{bundle.sha256[:12]}"
    content = {"manifest": bundle.content["manifest"], "files": dict(bundle.content["files"])}
    connection.execute(
        _QUERIES["insert_bundle"],
        {"tenant_id": tenant_id, "sha256": bundle.sha256, "version": version, "content": Jsonb(content), "now": now},
    )
    artifact = Artifact(
        tenant_id=tenant_id,
        kind=_KIND,
        name=_NAME,
        version=version,
        sha256=bundle.sha256,
        location="gate.policy_bundles",
        lineage={},
        created_at=now,
        state="champion",
    )
    register_artifact(connection, artifact)
    try:
        resolve_alias(connection, kind=_KIND, name=_NAME, alias=_ALIAS)
    except UnknownArtifact:
        move_alias(
            connection,
            tenant_id=tenant_id,
            kind=_KIND,
            name=_NAME,
            alias=_ALIAS,
            version=version,
            moved_by=moved_by,
            now=now,
        )
