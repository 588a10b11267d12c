"""Which bundle is in force for a tenant? The registry's aliases say; the content is checked against its address at load."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from domain.errors import Unavailable
from gates.policy.bundle import InvalidBundle, PolicyBundle, load_bundle_content
from gates.registry import POLICY_KIND, InForce, pick_shadow, pick_target, read_in_force
from storage.named_queries import load_queries
from storage.registry import PRODUCTION, Artifact, register_artifact
from storage.registry_changes import install_first

_QUERIES = load_queries(Path(__file__).parents[1] / "sql" / "policies.sql")
POLICY_NAME = "gate"
_MAX_CACHED = 16


class NoUsablePolicy(Unavailable):
    """Say that no policy is in force for this tenant, or that the one in force fails its checks: nothing is decided."""

    code = "no_usable_policy"


class PolicyShelf:
    """Keep parsed bundles by address. Only parsing is saved: which bundle is in force is asked for every decision."""

    def __init__(self) -> None:
        self._bundles: dict[str, PolicyBundle] = {}
        self._lock = Lock()

    def find_active(self, connection: Connection[Any], *, proposal_id: str = "") -> PolicyBundle:
        """Return the bundle in force for a proposal in the caller's transaction. Raises: NoUsablePolicy."""
        return self.choose(connection, read_in_force(connection), proposal_id=proposal_id)

    def choose(self, connection: Connection[Any], in_force: InForce, *, proposal_id: str = "") -> PolicyBundle:
        """Return the bundle that is in force for a proposal, or the canary for its share. Raises: NoUsablePolicy."""
        target = pick_target(in_force.aliases_of(POLICY_KIND, POLICY_NAME), proposal_id)
        if target is None:
            raise NoUsablePolicy(f"no policy bundle has the alias `{PRODUCTION}` for this tenant")
        return self.load(connection, target.sha256)

    def find_shadow_address(self, in_force: InForce) -> str | None:
        """Return the address of the candidate that decides in the shadow, whether its content loads or not."""
        shadow = pick_shadow(in_force.aliases_of(POLICY_KIND, POLICY_NAME))
        return None if shadow is None else shadow.sha256

    def load(self, connection: Connection[Any], sha256: str) -> PolicyBundle:
        """Return a stored bundle by its address, checked when it is first read. Raises: NoUsablePolicy."""
        with self._lock:
            known = self._bundles.get(sha256)
        return known if known is not None else self._load(connection, sha256)

    def _load(self, connection: Connection[Any], sha256: str) -> PolicyBundle:
        row = connection.execute(_QUERIES["find_bundle"], {"sha256": sha256}).fetchone()
        if row is None:
            raise NoUsablePolicy(f"the policy bundle {sha256} is not stored")
        try:
            bundle = load_bundle_content(row[0], expected_sha256=sha256)
        except InvalidBundle as error:
            raise NoUsablePolicy(error.message) from error
        with self._lock:
            if len(self._bundles) >= _MAX_CACHED:
                self._bundles.clear()
            self._bundles[sha256] = bundle
        return bundle


def store_bundle(
    connection: Connection[Any], bundle: PolicyBundle, *, tenant_id: str, now: datetime, registered_by: str
) -> Artifact:
    """Store a checked bundle and register it as a candidate. Idempotent: the same content is the same version. Role gate."""
    # The same name and version with other content is another artifact.
    version = f"{bundle.manifest.name}@{bundle.manifest.version}+{bundle.sha256[:12]}"
    content = {"manifest": bundle.content["manifest"], "files": dict(bundle.content["files"])}
    connection.execute(
        _QUERIES["insert_bundle"],
        {"tenant_id": tenant_id, "sha256": bundle.sha256, "version": version, "content": Jsonb(content), "now": now},
    )
    artifact = Artifact(
        tenant_id=tenant_id,
        kind=POLICY_KIND,
        name=POLICY_NAME,
        version=version,
        sha256=bundle.sha256,
        location="gate.policy_bundles",
        lineage={"registered_by": registered_by},
        created_at=now,
    )
    register_artifact(connection, artifact)
    return artifact


def install_bundle(connection: Connection[Any], bundle: PolicyBundle, *, tenant_id: str, now: datetime, moved_by: str) -> None:
    """Store a checked bundle and put it in force where none is. Idempotent; never moves an alias that stands. Role gate."""
    artifact = store_bundle(connection, bundle, tenant_id=tenant_id, now=now, registered_by=moved_by)
    install_first(connection, artifact, now=now, moved_by=moved_by)
