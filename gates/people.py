"""Who is behind a session, and may he do this? Every act of a person asks here, in the transaction that it works in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import Connection

from domain.errors import Forbidden
from domain.roles import Role
from gates.review_store import Person, find_person


class NotSignedIn(Forbidden):
    """Say that the session token belongs to no live session."""

    code = "not_signed_in"


class NotPermitted(Forbidden):
    """Say that none of the person's roles may do this."""

    code = "not_permitted"


def require_person(connection: Connection[Any], session_token: str, *, now: datetime, roles: frozenset[Role]) -> Person:
    """Return the person of a live session who has one of these roles. Raises: NotSignedIn, NotPermitted."""
    person = find_person(connection, session_token, now=now)
    if person is None:
        raise NotSignedIn("sign in again")
    if not person.roles & roles:
        raise NotPermitted(f"this needs one of the roles {', '.join(sorted(roles))}")
    return person
