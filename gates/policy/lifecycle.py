"""The life of a version: watched in the shadow, tried on a share, put in force by two people, taken back by one.

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
from gates.policy.active import POLICY_NAME, PolicyShelf
from gates.policy.bundle import PolicyBundle
from gates.policy.listing import require_version
from gates.registry import BASELINE_KIND, POLICY_KIND, SCORE_KIND, ModelShelf
from gates.replay.drift import Drift
from gates.submission import GateScope
from storage.events import append_event
from storage.registry import PRODUCTION, Artifact, Move, list_aliases
from storage.registry_changes import (
    Change,
    ChangeTarget,
    approve_change,
    end_change,
    find_change,
    request_change,
    roll_back,
)
from storage.unit_of_work import unit_of_work

EDITORS = frozenset({Role.ADMIN})
"""Who changes what is in force."""
_MIN_REASON_LENGTH = 10
# Of a baseline nothing is recorded in the shadow, and a file is loaded whole by a process of its own.
_TARGETS: Mapping[str, frozenset[ChangeTarget]] = {
    SCORE_KIND: frozenset({"shadow", "canary", "champion"}),
    BASELINE_KIND: frozenset({"canary", "champion"}),
}
_CHAMPION_ONLY: frozenset[ChangeTarget] = frozenset({"champion"})
MeasureDrift = Callable[[Connection[Any], PolicyBundle], Drift]


class ReasonNeeded(InvalidInput):
    """Say that a change that turns this many decisions needs a written reason."""

    code = "reason_needed"


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


def show_policy(scope: GateScope, shelf: PolicyShelf, sha256: str) -> PolicyBundle:
    """Return a registered bundle; `active` is the one in force. Raises: UnknownBundle, NoUsablePolicy."""
    with unit_of_work(scope.pool, scope.context) as connection:
        if sha256 == "active":
            return shelf.find_active(connection)
        return shelf.load(connection, require_version(connection, sha256, kind=POLICY_KIND, name=POLICY_NAME).sha256)


def request_activation(
    scope: GateScope, shelf: PolicyShelf, wanted: Activation, *, now: datetime, measure_drift: MeasureDrift | None = None
) -> Change:
    """Ask for a registered version to be put in force. A shadow starts at once; anything else waits for a second admin.

    `measure_drift` replays recent decisions under a bundle. What is no policy always needs a written reason; a file that other
    processes load takes effect at their next start, and as champion only. Raises: NotSignedIn, NotPermitted, UnknownBundle,
    ReasonNeeded, NoUsablePolicy, NoUsableScore, Conflict.
    """
    if (wanted.target == "canary") != (wanted.percent is not None):
        raise InvalidInput("a canary needs its percent, and nothing else has one", code="invalid_percent")
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, wanted.session_token, now=now, roles=EDITORS)
        artifact = require_version(connection, wanted.sha256, kind=wanted.kind, name=wanted.name)
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
        append_registry_event(connection, scope, f"gate.{done.kind}_activated", done.sha256, _describe(done), now)
        return done


def approve_activation(scope: GateScope, shelf: PolicyShelf, change_id: str, session_token: str, *, now: datetime) -> Change:
    """Agree to a change as a second admin: its alias moves at once.

    Raises: NotSignedIn, NotPermitted, NotFound, OwnChange, Conflict, NoUsablePolicy, NoUsableScore.
    """
    require_id(change_id, "chg")
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=EDITORS)
        change = find_change(connection, change_id)
        _check_content(connection, shelf, kind=change.kind, sha256=change.sha256)
        done = approve_change(connection, change_id, approved_by=person.operator_id, now=now)
        append_registry_event(connection, scope, f"gate.{done.kind}_activated", done.sha256, _describe(done), now)
        return done


def refuse_activation(scope: GateScope, change_id: str, session_token: str, *, now: datetime) -> Change:
    """Refuse a change, or take back one's own. Raises: NotSignedIn, NotPermitted, NotFound, ChangeNotOpen."""
    require_id(change_id, "chg")
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=EDITORS)
        change = find_change(connection, change_id)
        end_change(connection, change, state="refused", decided_by=person.operator_id, now=now)
        refused = find_change(connection, change_id)
        append_registry_event(connection, scope, f"gate.{refused.kind}_refused", refused.sha256, _describe(refused), now)
        return refused


def roll_back_activation(
    scope: GateScope, session_token: str, *, reason: str, now: datetime, kind: str = POLICY_KIND, name: str = POLICY_NAME
) -> Move:
    """Put the version that stood directly before back in force. One admin is enough: see docs/decisions/0012.

    Raises: NotSignedIn, NotPermitted, NothingToRollBack.
    """
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=EDITORS)
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
        append_registry_event(connection, scope, f"gate.{kind}_rolled_back", move.to_version, data, now)
        return move


def _examine(
    connection: Connection[Any],
    shelf: PolicyShelf,
    wanted: Activation,
    artifact: Artifact,
    measure_drift: MeasureDrift | None,
) -> Drift | None:
    # Read and checked now: what does not load is never put in force.
    _check_content(connection, shelf, kind=wanted.kind, sha256=artifact.sha256)
    if wanted.kind != POLICY_KIND:
        allowed = _TARGETS.get(wanted.kind, _CHAMPION_ONLY)
        if wanted.target not in allowed:
            raise InvalidInput(f"a {wanted.kind} can become {' or '.join(sorted(allowed))}", code="no_such_target")
        _require_written(wanted, f"a {wanted.kind} is put in force for a reason that others can read")
        if wanted.kind == BASELINE_KIND:
            _require_knowing_policy(shelf.find_active(connection))
        return None
    bundle = shelf.load(connection, artifact.sha256)
    drift = None if measure_drift is None or wanted.target == "shadow" else measure_drift(connection, bundle)
    max_permille = shelf.find_active(connection).manifest.max_drift_permille
    if drift is not None and drift.permille > max_permille:
        _require_written(wanted, f"{drift.permille} of 1000 recent decisions would be others, more than {max_permille}")
    return drift


def _check_content(connection: Connection[Any], shelf: PolicyShelf, *, kind: str, sha256: str) -> None:
    if kind == POLICY_KIND:
        shelf.load(connection, sha256)
    elif kind == SCORE_KIND:
        ModelShelf().load_score(connection, sha256)
    elif kind == BASELINE_KIND:
        ModelShelf().load_baselines(connection, sha256)


def _require_knowing_policy(bundle: PolicyBundle) -> None:
    """See that the policy declares what baselines add: a fact that it does not know makes every decision a review."""
    if bundle.catalog is None or "baseline" not in bundle.catalog.groups:
        raise InvalidInput(
            f"the policy in force ({bundle.manifest.version}) declares no facts of the group `baseline`: activate one that does",
            code="policy_knows_no_baselines",
        )


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


def append_registry_event(
    connection: Connection[Any], scope: GateScope, event_type: str, subject: str, data: Mapping[str, Any], now: datetime
) -> None:
    """Append the event of one act on the registry, in the caller's transaction."""
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
