"""The kill switch: a person stops every execution of a tenant, a kind of act or an operator, approved ones too. Another thaws."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import class_row

from domain.case import CaseOutcome
from domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from domain.ids import make_id, require_id
from domain.proposal import ActionKind
from domain.roles import Role
from gates.people import require_person
from gates.submission import GateScope
from storage.cases import close_case
from storage.named_queries import load_queries
from storage.unit_of_work import unit_of_work

_QUERIES = load_queries(Path(__file__).parent / "sql" / "freezes.sql")
FreezeScope = Literal["tenant", "kind", "operator"]
FREEZING_ROLES = frozenset({Role.APPROVER, Role.INVESTIGATOR, Role.ADMIN})
THAWING_ROLES = frozenset({Role.ADMIN})
_MAX_REASON_BYTES = 1_000
_MAX_FREEZES = 200


class OwnFreeze(Forbidden):
    """Say that a person tried to end the freeze that he made: that takes a second one."""

    code = "own_freeze"


class AlreadyThawed(Conflict):
    """Say that the freeze ended before."""

    code = "already_thawed"


@dataclass(frozen=True, slots=True)
class Freeze:
    """Hold one freeze. `subject` is the kind or the operator, "" for the whole tenant; it stands while `thawed_at` is None."""

    freeze_id: str
    scope: FreezeScope
    subject: str
    frozen_by: str
    frozen_at: datetime
    reason: str
    thawed_by: str | None
    thawed_at: datetime | None


def freeze(scope: GateScope, session_token: str, *, over: FreezeScope, subject: str, reason: str, now: datetime) -> Freeze:
    """Stop every execution over this scope, from the commit on; what was authorized is taken back in the same transaction.

    Idempotent: what is frozen already returns its freeze. Raises: NotSignedIn, NotPermitted, InvalidInput, NotFound.
    """
    words = _require_words(reason)
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=FREEZING_ROLES)
        _require_subject(connection, over, subject)
        connection.execute(_QUERIES["lock_freezing"], {"tenant_id": scope.tenant_id})
        standing = _list(connection, standing_only=True, over=over, subject=subject)
        if standing:
            return standing[-1]
        freeze_id = make_id("frz", now)
        parameters = {"freeze_id": freeze_id, "scope": over, "subject": subject, "frozen_by": person.operator_id}
        connection.execute(_QUERIES["freeze"], {**parameters, "reason": words, "now": now})
        return _require(connection, freeze_id)


def thaw(scope: GateScope, session_token: str, freeze_id: str, *, now: datetime) -> Freeze:
    """End one freeze, and close its case. Only an administrator may, and never whoever made it. What it stopped is not executed.

    Raises: InvalidId, NotFound, NotSignedIn, NotPermitted, OwnFreeze, AlreadyThawed.
    """
    require_id(freeze_id, "frz")
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=THAWING_ROLES)
        connection.execute(_QUERIES["lock_freezing"], {"tenant_id": scope.tenant_id})
        standing = _require(connection, freeze_id)
        if standing.thawed_at is not None:
            raise AlreadyThawed("this freeze ended before")
        if standing.frozen_by == person.operator_id:
            raise OwnFreeze("you made this freeze: a second administrator has to end it")
        connection.execute(_QUERIES["thaw"], {"freeze_id": freeze_id, "thawed_by": person.operator_id, "now": now})
        _close_cases(connection, freeze_id, thawed_by=person.operator_id, now=now)
        return _require(connection, freeze_id)


def list_freezes(connection: Connection[Any], *, standing_only: bool = False) -> tuple[Freeze, ...]:
    """Return freezes, those that stand first, at most 200."""
    return _list(connection, standing_only=standing_only)


def _require_words(reason: str) -> str:
    words = reason.strip()
    if not words or not words.isprintable() or len(words.encode()) > _MAX_REASON_BYTES:
        raise InvalidInput(f"say why, in one line of at most {_MAX_REASON_BYTES} bytes", code="reason_missing")
    return words


def _require_subject(connection: Connection[Any], over: FreezeScope, subject: str) -> None:
    """A freeze on something that does not exist would look like safety and stop nothing."""
    if over == "tenant" and subject:
        raise InvalidInput("a freeze of the tenant names nothing else", code="invalid_freeze")
    if over == "kind" and subject not in set(ActionKind) - {ActionKind.UNLISTED}:
        raise InvalidInput(f"there is no kind of act {subject!r}", code="invalid_freeze")
    if over == "operator" and connection.execute(_QUERIES["find_operator"], {"operator_id": subject}).fetchone() is None:
        raise NotFound(f"there is no operator {subject!r} in this workspace")


def _close_cases(connection: Connection[Any], freeze_id: str, *, thawed_by: str, now: datetime) -> None:
    for (case_id,) in connection.execute(_QUERIES["list_cases_of_freeze"], {"freeze_id": freeze_id}).fetchall():
        close_case(
            connection, case_id, operator_id=thawed_by, outcome=CaseOutcome.EXPLAINED, note="ended with its freeze", now=now
        )


def _require(connection: Connection[Any], freeze_id: str) -> Freeze:
    found = _list(connection, freeze_id=freeze_id)
    if not found:
        raise NotFound(f"no freeze {freeze_id}")
    return found[0]


def _list(
    connection: Connection[Any],
    *,
    standing_only: bool = False,
    freeze_id: str | None = None,
    over: FreezeScope | None = None,
    subject: str = "",
) -> tuple[Freeze, ...]:
    parameters = {"standing_only": standing_only, "freeze_id": freeze_id, "scope": over, "subject": subject}
    with connection.cursor(row_factory=class_row(Freeze)) as cursor:
        return tuple(cursor.execute(_QUERIES["list_freezes"], {**parameters, "limit": _MAX_FREEZES}))
