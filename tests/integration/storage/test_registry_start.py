"""What lies on the disk starts when it is what is in force, and nothing else does."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import Connection

from domain.ids import make_id
from storage.registry import find_artifact, list_aliases, list_artifacts
from storage.registry_changes import Change, approve_change, request_change, roll_back
from storage.registry_start import Admission, Found, FoundVersion, admit
from tests.conftest import ConnAs, Tenant

NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


def _version(label: str, content: str = "") -> FoundVersion:
    sha256 = hashlib.sha256((content or label).encode()).hexdigest()
    return FoundVersion(label, sha256, f"models/{label}", {"source": "a release"})


OLD, NEW = _version("small"), _version("large")


def _admit(gate: Connection[Any], tenant: Tenant, *versions: FoundVersion) -> Admission:
    with gate.transaction():
        return admit(gate, Found("language_model", "chat", versions), tenant_id=tenant.tenant_id, now=NOW)


def _activate(gate: Connection[Any], tenant: Tenant, version: FoundVersion) -> None:
    change = Change(
        tenant_id=tenant.tenant_id,
        change_id=make_id("chg", NOW),
        kind="language_model",
        name="chat",
        version=version.version,
        sha256=version.sha256,
        base_version=list_aliases(gate, kind="language_model", name="chat")["production"].version,
        target="champion",
        percent=None,
        requested_by="opr_kim",
        requested_at=NOW,
        reason="the release brings it",
        drift=None,
    )
    with gate.transaction():
        request_change(gate, change)
        approve_change(gate, change.change_id, approved_by="opr_lee", now=NOW)


def _cases(gate: Connection[Any]) -> list[tuple[str, str]]:
    rows = gate.execute("SELECT subject, facts ->> 'fault' FROM core.cases WHERE kind = 'artifact_unapproved'").fetchall()
    return [(row[0], row[1]) for row in rows]


def test_what_came_with_the_release_starts_and_starts_again(conn_as: ConnAs, tenant: Tenant) -> None:
    gate = conn_as("gate", tenant)
    for _ in range(2):
        assert _admit(gate, tenant, OLD) == Admission("language_model", "chat", OLD.sha256)
    held = find_artifact(gate, kind="language_model", name="chat", version=OLD.version)
    assert (held.state, held.lineage) == ("champion", {"source": "a release", "registered_by": "set-up"})
    rows = gate.execute("SELECT moved_by, approved_by FROM core.registry_moves").fetchall()
    assert (rows, _cases(gate)) == ([("set-up", "release")], [])


def test_other_content_is_refused_registered_and_told(conn_as: ConnAs, tenant: Tenant) -> None:
    gate = conn_as("gate", tenant)
    _admit(gate, tenant, OLD)
    for _ in range(2):
        refused = _admit(gate, tenant, NEW)
        assert refused.sha256 is None
        assert f"activate language_model chat {NEW.sha256[:12]} " in refused.refusal
        assert "models/large" in refused.refusal
        assert OLD.version in refused.refusal
    assert find_artifact(gate, kind="language_model", name="chat", version=NEW.version).state == "candidate"
    assert list_aliases(gate, kind="language_model", name="chat")["production"].sha256 == OLD.sha256
    assert _cases(gate) == [("language_model chat", "artifact_unapproved")]
    assert _admit(gate, tenant, OLD).sha256 == OLD.sha256


def test_two_people_let_it_in_and_one_takes_it_back(conn_as: ConnAs, tenant: Tenant) -> None:
    gate = conn_as("gate", tenant)
    _admit(gate, tenant, OLD)
    _admit(gate, tenant, NEW)
    _activate(gate, tenant, NEW)
    assert _admit(gate, tenant, NEW).sha256 == NEW.sha256
    assert _admit(gate, tenant, OLD).sha256 is None
    with gate.transaction():
        roll_back(
            gate,
            tenant_id=tenant.tenant_id,
            kind="language_model",
            name="chat",
            moved_by="opr_lee",
            reason="worse answers",
            now=NOW,
        )
    assert _admit(gate, tenant, OLD).sha256 == OLD.sha256
    assert _admit(gate, tenant, NEW).sha256 is None


def test_content_that_somebody_registered_before_is_the_same_version(conn_as: ConnAs, tenant: Tenant) -> None:
    gate = conn_as("gate", tenant)
    _admit(gate, tenant, OLD)
    as_named_by_a_person = FoundVersion("my-new-model", NEW.sha256, "elsewhere")
    _admit(gate, tenant, as_named_by_a_person)
    _activate(gate, tenant, as_named_by_a_person)
    assert _admit(gate, tenant, NEW).sha256 == NEW.sha256
    versions = [one.version for one in list_artifacts(gate, kind="language_model", name="chat")]
    assert sorted(versions) == sorted([OLD.version, as_named_by_a_person.version])


def test_of_several_files_the_one_in_force_is_used_and_the_others_are_candidates(conn_as: ConnAs, tenant: Tenant) -> None:
    gate = conn_as("gate", tenant)
    assert _admit(gate, tenant, OLD).sha256 == OLD.sha256
    # A release brings a newer one beside it: the old one goes on.
    assert _admit(gate, tenant, NEW, OLD).sha256 == OLD.sha256
    assert [(one.version, one.state) for one in list_artifacts(gate, kind="language_model", name="chat")] == [
        (OLD.version, "champion"),
        (NEW.version, "candidate"),
    ]
    _activate(gate, tenant, NEW)
    assert _admit(gate, tenant, NEW, OLD).sha256 == NEW.sha256
    assert _cases(gate) == []


@pytest.mark.parametrize("installed", [True, False])
def test_what_is_not_there_is_refused(conn_as: ConnAs, tenant: Tenant, installed: bool) -> None:
    gate = conn_as("gate", tenant)
    if installed:
        _admit(gate, tenant, OLD)
    refused = _admit(gate, tenant)
    assert refused.sha256 is None
    assert (OLD.version if installed else "nothing") in refused.refusal
    assert len(_cases(gate)) == 1


def test_what_came_into_force_past_the_people_is_refused(conn_as: ConnAs, tenant: Tenant, admin_conn: Connection[Any]) -> None:
    gate = conn_as("gate", tenant)
    _admit(gate, tenant, OLD)
    with admin_conn.transaction():
        admin_conn.execute("SET LOCAL session_replication_role = replica")
        for trigger in ("append_only", "moves_are_approved"):
            admin_conn.execute(f"ALTER TABLE core.registry_moves DISABLE TRIGGER {trigger}")
        admin_conn.execute("UPDATE core.registry_moves SET approved_by = moved_by WHERE tenant_id = %s", [tenant.tenant_id])
        for trigger in ("append_only", "moves_are_approved"):
            admin_conn.execute(f"ALTER TABLE core.registry_moves ENABLE ALWAYS TRIGGER {trigger}")
    refused = _admit(gate, tenant, OLD)
    assert refused.sha256 is None
    assert _cases(gate) == [("language_model chat", "artifact_unapproved")]


def test_another_tenants_approval_is_none_of_ours(conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant) -> None:
    gate, other = conn_as("gate", tenant), conn_as("gate", other_tenant)
    _admit(gate, tenant, OLD)
    assert _admit(other, other_tenant, NEW).sha256 == NEW.sha256
    assert _admit(gate, tenant, NEW).sha256 is None
