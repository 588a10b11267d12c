"""Changes of what is in force: one person asks, another agrees, and only then does an alias move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from psycopg import Connection
from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from domain.errors import Conflict, Forbidden, NotFound
from storage.named_queries import load_queries
from storage.registry import (
    PRODUCTION,
    AliasTarget,
    Artifact,
    ArtifactState,
    Move,
    list_aliases,
    list_moves,
    move_alias,
    set_state,
)

_QUERIES = load_queries(Path(__file__).parent / "sql" / "registry_changes.sql")
ChangeTarget = Literal["shadow", "canary", "champion"]
ChangeState = Literal["open", "done", "refused", "expired"]
_ALIAS_OF: Mapping[ChangeTarget, str] = {"shadow": "shadow", "canary": "canary", "champion": PRODUCTION}


class ChangeNotOpen(Conflict):
    """Say that a change was decided before."""

    code = "change_not_open"


class ChangeStale(Conflict):
    """Say that another version came into force since the change was asked for: what people compared is not what would change."""

    code = "change_stale"


class ChangePending(Conflict):
    """Say that another change of this name waits for its second person."""

    code = "change_pending"


class OwnChange(Forbidden):
    """Say that whoever asked for a change tried to approve it himself."""

    code = "own_change"


class NothingToRollBack(Conflict):
    """Say that what is in force did not come by a change, so that there is nothing directly before it to go back to."""

    code = "nothing_to_roll_back"


@dataclass(frozen=True, slots=True)
class Change:
    """Hold a change: which version is to become what, against which base, how much it would change, and how it ended."""

    tenant_id: str
    change_id: str
    kind: str
    name: str
    version: str
    sha256: str
    base_version: str | None
    target: ChangeTarget
    percent: int | None
    requested_by: str
    requested_at: datetime
    reason: str
    drift: Mapping[str, Any] | None
    state: ChangeState = "open"
    decided_by: str | None = None
    decided_at: datetime | None = None


def lock_name(connection: Connection[Any], *, tenant_id: str, kind: str, name: str) -> None:
    """Keep other changes of this name out until the transaction ends."""
    connection.execute(_QUERIES["lock_name"], {"key": f"registry|{tenant_id}|{kind}|{name}"})


def install_first(connection: Connection[Any], artifact: Artifact, *, now: datetime, moved_by: str) -> bool:
    """Put a registered version in force where none of its name is: what comes with the release needs no second person.

    False where one is in force, which stays. Role gate.
    """
    if PRODUCTION in list_aliases(connection, kind=artifact.kind, name=artifact.name):
        return False
    set_state(connection, kind=artifact.kind, name=artifact.name, version=artifact.version, state="champion")
    move_alias(
        connection,
        Move(
            tenant_id=artifact.tenant_id,
            kind=artifact.kind,
            name=artifact.name,
            alias=PRODUCTION,
            from_version=None,
            to_version=artifact.version,
            moved_by=moved_by,
            approved_by="release",
            moved_at=now,
            reason="came with the release",
        ),
    )
    return True


def request_change(connection: Connection[Any], change: Change) -> None:
    """Keep a change that waits for its second person. Role gate. Raises: ChangePending."""
    names = ("tenant_id", "change_id", "kind", "name", "version", "sha256", "base_version", "target", "percent")
    parameters = {name: getattr(change, name) for name in names}
    parameters |= {"requested_by": change.requested_by, "requested_at": change.requested_at, "reason": change.reason}
    parameters["drift"] = None if change.drift is None else Jsonb(dict(change.drift))
    try:
        with connection.transaction():
            connection.execute(_QUERIES["insert_change"], parameters)
    except UniqueViolation as error:
        raise ChangePending(
            f"another change of {change.kind} {change.name} to {change.target} is open: decide on it first"
        ) from error


def find_change(connection: Connection[Any], change_id: str) -> Change:
    """Return a change. Raises: NotFound."""
    with connection.cursor(row_factory=class_row(Change)) as cursor:
        found = cursor.execute(_QUERIES["find_change"], {"change_id": change_id}).fetchone()
    if found is None:
        raise NotFound(f"no change {change_id}")
    return found


def list_changes(connection: Connection[Any], *, kind: str, name: str, limit: int = 100) -> list[Change]:
    """Return the changes of a name, the latest first."""
    with connection.cursor(row_factory=class_row(Change)) as cursor:
        return cursor.execute(_QUERIES["list_changes"], {"kind": kind, "name": name, "limit": limit}).fetchall()


def end_change(connection: Connection[Any], change: Change, *, state: ChangeState, decided_by: str, now: datetime) -> None:
    """Refuse or expire a change without effect. Role gate. Raises: ChangeNotOpen."""
    parameters = {"change_id": change.change_id, "state": state, "decided_by": decided_by, "now": now}
    if connection.execute(_QUERIES["end_change"], parameters).rowcount != 1:
        raise ChangeNotOpen(f"{change.change_id} is not open any more")


def approve_change(connection: Connection[Any], change_id: str, *, approved_by: str, now: datetime) -> Change:
    """Agree to a change and move its alias, in the caller's transaction. Role gate.

    A shadow needs no second person. Raises: NotFound, ChangeNotOpen, OwnChange, ChangeStale.
    """
    glimpsed = find_change(connection, change_id)
    lock_name(connection, tenant_id=glimpsed.tenant_id, kind=glimpsed.kind, name=glimpsed.name)
    change = find_change(connection, change_id)
    if change.state != "open":
        raise ChangeNotOpen(f"{change_id} is {change.state}")
    if change.target != "shadow" and change.requested_by == approved_by:
        raise OwnChange("whoever asked for it may not approve it: another person has to")
    aliases = list_aliases(connection, kind=change.kind, name=change.name)
    if change.base_version != _version_of(aliases, PRODUCTION):
        raise ChangeStale("another version came into force since this was asked for: compare again, and ask again")
    end_change(connection, change, state="done", decided_by=approved_by, now=now)
    _move(connection, change, aliases, approved_by=approved_by, now=now)
    return find_change(connection, change_id)


def roll_back(
    connection: Connection[Any], *, tenant_id: str, kind: str, name: str, moved_by: str, reason: str, now: datetime
) -> Move:
    """Put the version that stood directly before back in force; one person is enough. Ends a canary too. Role gate.

    Raises: NothingToRollBack.
    """
    lock_name(connection, tenant_id=tenant_id, kind=kind, name=name)
    moves = list_moves(connection, kind=kind, name=name, alias=PRODUCTION)
    if not moves or moves[0].change_id is None or moves[0].from_version is None:
        raise NothingToRollBack("what is in force came by the set-up or by a step back: two people may put another one in force")
    move = Move(
        tenant_id=tenant_id,
        kind=kind,
        name=name,
        alias=PRODUCTION,
        from_version=moves[0].to_version,
        to_version=moves[0].from_version,
        moved_by=moved_by,
        approved_by=moved_by,
        moved_at=now,
        reason=reason,
    )
    move_alias(connection, move)
    _retire(connection, kind=kind, name=name, old=moves[0].to_version, champion=move.to_version)
    end_canary(connection, tenant_id=tenant_id, kind=kind, name=name, moved_by=moved_by, reason=reason, now=now)
    return move


def end_canary(
    connection: Connection[Any], *, tenant_id: str, kind: str, name: str, moved_by: str, reason: str, now: datetime
) -> bool:
    """Let every act be decided by what is in force; one person is enough. False when there was no canary. Role gate."""
    aliases = list_aliases(connection, kind=kind, name=name)
    canary, champion = aliases.get("canary"), aliases.get(PRODUCTION)
    if canary is None or champion is None or canary.version == champion.version:
        return False
    move_alias(
        connection,
        Move(
            tenant_id=tenant_id,
            kind=kind,
            name=name,
            alias="canary",
            from_version=canary.version,
            to_version=champion.version,
            moved_by=moved_by,
            approved_by=moved_by,
            moved_at=now,
            reason=reason,
        ),
    )
    return True


def _move(
    connection: Connection[Any], change: Change, aliases: Mapping[str, AliasTarget], *, approved_by: str, now: datetime
) -> None:
    alias = _ALIAS_OF[change.target]
    move_alias(
        connection,
        Move(
            tenant_id=change.tenant_id,
            kind=change.kind,
            name=change.name,
            alias=alias,
            from_version=_version_of(aliases, alias),
            to_version=change.version,
            moved_by=change.requested_by,
            approved_by=approved_by,
            moved_at=now,
            reason=change.reason,
            change_id=change.change_id,
            percent=change.percent,
        ),
    )
    if change.target == "champion":
        _retire(connection, kind=change.kind, name=change.name, old=change.base_version, champion=change.version)
        end_canary(
            connection,
            tenant_id=change.tenant_id,
            kind=change.kind,
            name=change.name,
            moved_by=approved_by,
            reason=f"{change.version} came into force",
            now=now,
        )
    elif change.version != change.base_version:
        set_state(connection, kind=change.kind, name=change.name, version=change.version, state=_STATE_OF[change.target])


_STATE_OF: Mapping[ChangeTarget, ArtifactState] = {"shadow": "shadow", "canary": "canary", "champion": "champion"}


def _retire(connection: Connection[Any], *, kind: str, name: str, old: str | None, champion: str) -> None:
    if old is not None and old != champion:
        set_state(connection, kind=kind, name=name, version=old, state="retired")
    set_state(connection, kind=kind, name=name, version=champion, state="champion")


def _version_of(aliases: Mapping[str, AliasTarget], alias: str) -> str | None:
    target = aliases.get(alias)
    return None if target is None else target.version
