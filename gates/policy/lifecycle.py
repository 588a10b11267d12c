"""The life of a policy bundle: registered, watched in the shadow, tried on a share, put in force by two, taken back by one.

Each act asks for its person, does its work and appends its event in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from domain.errors import InvalidInput
from domain.event import Event
from domain.ids import make_id, require_id
from domain.roles import Role
from gates.decision_store import SOURCE
from gates.people import require_person
from gates.policy.active import CANARY, POLICY_KIND, POLICY_NAME, PolicyShelf, store_bundle
from gates.policy.artifacts import store_score
from gates.policy.bundle import PolicyBundle
from gates.replay.drift import Drift
from gates.score.model import ScoreModel
from gates.submission import GateScope
from storage.events import append_event
from storage.registry import PRODUCTION, Artifact, Move, list_aliases, list_artifacts
from storage.registry_changes import (
    Change,
    ChangeTarget,
    approve_change,
    end_change,
    find_change,
    list_changes,
    request_change,
    roll_back,
)
from storage.unit_of_work import unit_of_work

_EDITORS = frozenset({Role.ADMIN})
_MIN_REASON_LENGTH = 10


MeasureDrift = Callable[[Connection[Any], PolicyBundle], Drift]


class ReasonNeeded(InvalidInput):
    """Say that a change that turns this many decisions needs a written reason."""

    code = "reason_needed"


class UnknownBundle(InvalidInput):
    """Say that no bundle with this address, or this beginning of one, is registered."""

    code = "unknown_bundle"


@dataclass(frozen=True, slots=True)
class Activation:
    """Hold what a person asks for: something registered by its hash (12 hex digits are enough), and what it is to become."""

    session_token: str
    sha256: str
    target: ChangeTarget
    percent: int | None = None
    reason: str = ""
    kind: str = POLICY_KIND
    name: str = POLICY_NAME


@dataclass(frozen=True, slots=True)
class Shelved:
    """Hold a registered version and the aliases that stand for it."""

    artifact: Artifact
    aliases: tuple[str, ...]
    percent: int | None


def list_shelf(scope: GateScope, *, kind: str = POLICY_KIND, name: str = POLICY_NAME) -> tuple[list[Shelved], list[Change]]:
    """Return every registered version, the latest first, and the changes that people asked for."""
    with unit_of_work(scope.pool, scope.context) as connection:
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


def show_policy(scope: GateScope, shelf: PolicyShelf, sha256: str) -> PolicyBundle:
    """Return a registered bundle; `active` is the one in force. Raises: UnknownBundle, NoUsablePolicy."""
    with unit_of_work(scope.pool, scope.context) as connection:
        if sha256 == "active":
            return shelf.find_active(connection)
        return shelf.load(connection, _find_artifact(connection, sha256, kind=POLICY_KIND, name=POLICY_NAME).sha256)


def register_policy(scope: GateScope, bundle: PolicyBundle, session_token: str, *, now: datetime) -> Artifact:
    """Register a checked bundle as a candidate, in an admin's name. Idempotent. Raises: NotSignedIn, NotPermitted."""
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=_EDITORS)
        artifact = store_bundle(connection, bundle, tenant_id=scope.tenant_id, now=now, registered_by=person.operator_id)
        data = {"version": artifact.version, "sha256": artifact.sha256, "registered_by": person.operator_id}
        _append(connection, scope, "gate.policy_registered", artifact.sha256, data, now)
        return artifact


def register_score(
    scope: GateScope, model: ScoreModel, session_token: str, *, lineage: Mapping[str, Any], now: datetime
) -> Artifact:
    """Register a checked score model as a candidate, in an admin's name. Idempotent. Raises: NotSignedIn, NotPermitted."""
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=_EDITORS)
        made_from = {**lineage, "registered_by": person.operator_id}
        artifact = store_score(connection, model, tenant_id=scope.tenant_id, lineage=made_from, now=now)
        data = {"version": artifact.version, "sha256": artifact.sha256, "registered_by": person.operator_id}
        _append(connection, scope, "gate.score_registered", artifact.sha256, data, now)
        return artifact


def request_activation(
    scope: GateScope, shelf: PolicyShelf, wanted: Activation, *, now: datetime, measure_drift: MeasureDrift | None = None
) -> Change:
    """Ask for a registered version to be put in force. A shadow starts at once; anything else waits for a second admin.

    `measure_drift` replays recent decisions under a bundle. A score model is chosen at the next start, as champion only, and
    always with a written reason. Raises: NotSignedIn, NotPermitted, UnknownBundle, ReasonNeeded, NoUsablePolicy,
    Conflict.
    """
    if (wanted.target == "canary") != (wanted.percent is not None):
        raise InvalidInput("a canary needs its percent, and nothing else has one", code="invalid_percent")
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, wanted.session_token, now=now, roles=_EDITORS)
        artifact = _find_artifact(connection, wanted.sha256, kind=wanted.kind, name=wanted.name)
        drift = _examine(connection, shelf, wanted, artifact, measure_drift)
        aliases = list_aliases(connection, kind=wanted.kind, name=wanted.name)
        change = Change(
            tenant_id=scope.tenant_id,
            change_id=make_id("chg", now),
            kind=wanted.kind,
            name=wanted.name,
            version=artifact.version,
            sha256=artifact.sha256,
            base_version=aliases[PRODUCTION].version if PRODUCTION in aliases else None,
            target=wanted.target,
            percent=wanted.percent,
            requested_by=person.operator_id,
            requested_at=now,
            reason=wanted.reason,
            drift=None if drift is None else _render_drift(drift),
        )
        request_change(connection, change)
        if wanted.target != "shadow":
            return change
        done = approve_change(connection, change.change_id, approved_by=person.operator_id, now=now)
        _append(connection, scope, f"gate.{done.kind}_activated", done.sha256, _describe(done), now)
        return done


def approve_activation(scope: GateScope, shelf: PolicyShelf, change_id: str, session_token: str, *, now: datetime) -> Change:
    """Agree to a change as a second admin: its alias moves at once.

    Raises: NotSignedIn, NotPermitted, NotFound, OwnChange, Conflict, NoUsablePolicy.
    """
    require_id(change_id, "chg")
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=_EDITORS)
        change = find_change(connection, change_id)
        if change.kind == POLICY_KIND:
            shelf.load(connection, change.sha256)
        done = approve_change(connection, change_id, approved_by=person.operator_id, now=now)
        _append(connection, scope, f"gate.{done.kind}_activated", done.sha256, _describe(done), now)
        return done


def refuse_activation(scope: GateScope, change_id: str, session_token: str, *, now: datetime) -> Change:
    """Refuse a change, or take back one's own. Raises: NotSignedIn, NotPermitted, NotFound, ChangeNotOpen."""
    require_id(change_id, "chg")
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=_EDITORS)
        change = find_change(connection, change_id)
        end_change(connection, change, state="refused", decided_by=person.operator_id, now=now)
        refused = find_change(connection, change_id)
        _append(connection, scope, f"gate.{refused.kind}_refused", refused.sha256, _describe(refused), now)
        return refused


def roll_back_activation(
    scope: GateScope, session_token: str, *, reason: str, now: datetime, kind: str = POLICY_KIND, name: str = POLICY_NAME
) -> Move:
    """Put the version that stood directly before back in force. One admin is enough: see docs/decisions/0012.

    Raises: NotSignedIn, NotPermitted, NothingToRollBack.
    """
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=_EDITORS)
        move = roll_back(
            connection,
            tenant_id=scope.tenant_id,
            kind=kind,
            name=name,
            moved_by=person.operator_id,
            reason=reason,
            now=now,
        )
        data = {"from_version": move.from_version, "to_version": move.to_version, "moved_by": move.moved_by, "reason": reason}
        _append(connection, scope, f"gate.{kind}_rolled_back", move.to_version, data, now)
        return move


def _find_artifact(connection: Connection[Any], sha256: str, *, kind: str, name: str) -> Artifact:
    found = [
        artifact
        for artifact in list_artifacts(connection, kind=kind, name=name)
        if len(sha256) >= 12 and artifact.sha256.startswith(sha256)
    ]
    if len(found) != 1:
        raise UnknownBundle(f"none or more than one {kind} {name} is registered with a hash that begins with {sha256[:64]!r}")
    return found[0]


def _examine(
    connection: Connection[Any],
    shelf: PolicyShelf,
    wanted: Activation,
    artifact: Artifact,
    measure_drift: MeasureDrift | None,
) -> Drift | None:
    if wanted.kind != POLICY_KIND:
        if wanted.target != "champion":
            raise InvalidInput(
                f"a {wanted.kind} is put in force as champion: its shadow is a training report", code="no_such_target"
            )
        _require_written(wanted, f"a {wanted.kind} changes every decision from the next start on")
        return None
    # Read and checked now: a bundle that does not load is never put in force.
    bundle = shelf.load(connection, artifact.sha256)
    drift = None if measure_drift is None or wanted.target == "shadow" else measure_drift(connection, bundle)
    max_permille = shelf.find_active(connection).manifest.max_drift_permille
    if drift is not None and drift.permille > max_permille:
        _require_written(wanted, f"{drift.permille} of 1000 recent decisions would be others, more than {max_permille}")
    return drift


def _require_written(wanted: Activation, why: str) -> None:
    if len(wanted.reason.strip()) < _MIN_REASON_LENGTH:
        raise ReasonNeeded(f"{why}: give a written reason of at least {_MIN_REASON_LENGTH} characters")


def _render_drift(drift: Drift) -> dict[str, int]:
    return {"permille": drift.permille, "decisions": drift.decisions, "undecidable": drift.undecidable}


def _describe(change: Change) -> dict[str, Any]:
    return {
        "change_id": change.change_id,
        "kind": change.kind,
        "name": change.name,
        "version": change.version,
        "sha256": change.sha256,
        "base_version": change.base_version,
        "target": change.target,
        "percent": change.percent,
        "requested_by": change.requested_by,
        "decided_by": change.decided_by,
        "reason": change.reason,
        "drift": None if change.drift is None else dict(change.drift),
    }


def _append(
    connection: Connection[Any], scope: GateScope, event_type: str, subject: str, data: Mapping[str, Any], now: datetime
) -> None:
    append_event(
        connection,
        Event(
            event_id=make_id("evt", now),
            event_type=event_type,
            source=SOURCE,
            subject=subject,
            tenant_id=scope.tenant_id,
            occurred_at=now,
            recorded_at=now,
            data=dict(data),
        ),
    )
