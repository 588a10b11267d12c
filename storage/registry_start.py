"""What may start? What lies on the disk under a name is held against what is in force; what is new there becomes a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from domain.case import CaseKind
from domain.clock import render_time
from storage.cases import NewCase, open_cases
from storage.registry import (
    PRODUCTION,
    Artifact,
    UnapprovedArtifact,
    find_by_hash,
    list_aliases,
    register_artifact,
    require_approved,
)
from storage.registry_changes import install_first, lock_name

INSTALLED_BY = "set-up"
_DUE = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """Hold one version that lies on the disk. `location` is where, told without the machine's own folders."""

    label: str
    sha256: str
    location: str
    lineage: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Return its name in the registry: other content is another version, whatever it calls itself."""
        return f"{self.label}+{self.sha256[:12]}"


@dataclass(frozen=True, slots=True)
class Found:
    """Hold everything that lies on the disk under one name; the first version is the one that the release uses."""

    kind: str
    name: str
    versions: tuple[FoundVersion, ...]


@dataclass(frozen=True, slots=True)
class Admission:
    """Hold whether a name may start: `sha256` is the content in force, or None, and then `refusal` says why and what to do."""

    kind: str
    name: str
    sha256: str | None
    refusal: str = ""


def admit(connection: Connection[Any], found: Found, *, tenant_id: str, now: datetime) -> Admission:
    """Say whether what lies on the disk under a name is what is in force, in the caller's transaction. Role gate.

    Unknown versions are registered as candidates; where nothing of the name is in force, the release's version is put in force.
    A refusal opens an incident, once an hour while its case is open. Idempotent.
    """
    lock_name(connection, tenant_id=tenant_id, kind=found.kind, name=found.name)
    artifacts = [_register(connection, found, one, tenant_id=tenant_id, now=now) for one in found.versions]
    if artifacts:
        install_first(connection, artifacts[0], now=now, moved_by=INSTALLED_BY)
    admission = _judge(connection, found)
    if admission.sha256 is None:
        open_cases(connection, [_case_of(found, admission, now)], now=now)
    return admission


def _register(connection: Connection[Any], found: Found, one: FoundVersion, *, tenant_id: str, now: datetime) -> Artifact:
    # Somebody may have registered the same content before, under a name of his own.
    known = find_by_hash(connection, kind=found.kind, name=found.name, sha256=one.sha256)
    if known is not None:
        return known
    artifact = Artifact(
        tenant_id=tenant_id,
        kind=found.kind,
        name=found.name,
        version=one.version,
        sha256=one.sha256,
        location=one.location,
        lineage={**one.lineage, "registered_by": INSTALLED_BY},
        created_at=now,
    )
    register_artifact(connection, artifact)
    return artifact


def _judge(connection: Connection[Any], found: Found) -> Admission:
    target = list_aliases(connection, kind=found.kind, name=found.name).get(PRODUCTION)
    here = {one.sha256 for one in found.versions}
    if target is None or target.sha256 not in here:
        standing = None if target is None else target.version
        return Admission(found.kind, found.name, None, _explain(found, standing))
    try:
        require_approved(connection, kind=found.kind, name=found.name, sha256=target.sha256)
    except UnapprovedArtifact as error:
        return Admission(found.kind, found.name, None, error.message)
    return Admission(found.kind, found.name, target.sha256)


def _explain(found: Found, standing: str | None) -> str:
    if not found.versions:
        return f"{found.kind} {found.name}: {standing or 'nothing'} is in force, and its files are not there: put them back"
    first = found.versions[0]
    return (
        f"{found.kind} {found.name}: {first.location} ({first.sha256[:12]}) is not what is in force ({standing or 'nothing'})."
        " Put the approved files back, or let two administrators approve these:"
        f" ./tellergate registry activate {found.kind} {found.name} {first.sha256[:12]} --reason WHY --as USER,"
        " then ./tellergate registry approve CHANGE --as ANOTHER, and start again"
    )


def _case_of(found: Found, admission: Admission, now: datetime) -> NewCase:
    hour = now.replace(minute=0, second=0, microsecond=0)
    facts = {
        "fault": UnapprovedArtifact.code,
        "kind": found.kind,
        "name": found.name,
        "found": {one.location: one.sha256 for one in found.versions},
        "detail": admission.refusal[:1000],
    }
    subject = f"{found.kind} {found.name}"
    return NewCase(
        kind=CaseKind.ARTIFACT_UNAPPROVED,
        subject=subject,
        opened_for=f"{subject}:{render_time(hour)}",
        facts=facts,
        amount_minor=None,
        currency=None,
        due_at=now + _DUE,
    )
