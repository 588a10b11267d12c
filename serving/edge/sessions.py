"""Who is signed in? A session is a random token whose digest stands in the database."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from psycopg.rows import dict_row

from domain.errors import InvalidInput
from domain.ids import make_id
from domain.roles import Role
from masking.entitlements import Condition
from serving.edge.database import EdgeDatabase
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "sessions.sql")
_TOKEN = re.compile(r"tgs\.([a-z0-9-]{1,40})\.[A-Za-z0-9_-]{43}")
_TENANT = re.compile(r"[a-z0-9-]{1,40}")
_HASHER = PasswordHasher()
# Verified when there is no such person, so that a wrong name takes as long as a wrong password.
_NOBODY = _HASHER.hash(secrets.token_hex(16))
_MAX_PASSWORD_CHARACTERS = 256

SessionKind = Literal["console", "cli"]


class SignInRefused(InvalidInput):
    """Say that name and password do not fit; never which of them."""

    code = "sign_in_refused"


class NotSignedIn(InvalidInput):
    """Say that there is no live session."""

    code = "not_signed_in"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Hold the person behind a request. `token` is a bearer secret: never log it."""

    tenant_id: str
    operator_id: str
    username: str
    display_name: str
    roles: frozenset[Role]
    session_id: str
    csrf_token: str
    kind: SessionKind
    expires_at: datetime
    token: str
    meets: frozenset[Condition] = frozenset()
    """What the way that this request came meets of what entitlements ask for."""

    def has(self, *roles: Role) -> bool:
        """Say whether the person has one of these roles."""
        return not self.roles.isdisjoint(roles)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Hold what somebody typed to sign in."""

    tenant_id: str
    username: str
    password: str


def sign_in(
    database: EdgeDatabase, credentials: Credentials, *, kind: SessionKind, now: datetime, lifetime: timedelta
) -> SignedIn:
    """Check the password and start a session. Raises: SignInRefused."""
    refused = SignInRefused("the workspace, name or password is not right")
    if (
        not _TENANT.fullmatch(credentials.tenant_id)
        or len(credentials.password) > _MAX_PASSWORD_CHARACTERS
        or "\0" in credentials.username
    ):
        raise refused
    with database.work(credentials.tenant_id) as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_QUERIES["find_operator"], {"tenant_id": credentials.tenant_id, "username": credentials.username})
        person = cursor.fetchone()
    if not _fits(person["password_hash"] if person else _NOBODY, credentials.password) or person is None or not person["active"]:
        raise refused
    signed_in = SignedIn(
        tenant_id=credentials.tenant_id,
        operator_id=person["operator_id"],
        username=person["username"],
        display_name=person["display_name"],
        roles=frozenset(Role(role) for role in person["roles"]),
        session_id=make_id("ses", now),
        csrf_token=secrets.token_urlsafe(32),
        kind=kind,
        expires_at=now + lifetime,
        token=f"tgs.{credentials.tenant_id}.{secrets.token_urlsafe(32)}",
    )
    with database.work(signed_in.tenant_id) as connection:
        connection.execute(
            _QUERIES["insert_session"],
            {
                "tenant_id": signed_in.tenant_id,
                "session_id": signed_in.session_id,
                "operator_id": signed_in.operator_id,
                "token_sha256": digest_token(signed_in.token),
                "csrf_token": signed_in.csrf_token,
                "kind": kind,
                "created_at": now,
                "expires_at": signed_in.expires_at,
            },
        )
    return signed_in


def find_session(database: EdgeDatabase, token: str, now: datetime) -> SignedIn:
    """Return who holds this token. Raises: NotSignedIn."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise NotSignedIn("sign in first")
    tenant_id = match.group(1)
    with database.work(tenant_id) as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_QUERIES["find_session"], {"tenant_id": tenant_id, "token_sha256": digest_token(token), "now": now})
        row = cursor.fetchone()
    if row is None:
        raise NotSignedIn("the session has ended: sign in again")
    return SignedIn(
        tenant_id=tenant_id,
        operator_id=row["operator_id"],
        username=row["username"],
        display_name=row["display_name"],
        roles=frozenset(Role(role) for role in row["roles"]),
        session_id=row["session_id"],
        csrf_token=row["csrf_token"],
        kind=row["kind"],
        expires_at=row["expires_at"],
        token=token,
    )


def revoke_session(database: EdgeDatabase, signed_in: SignedIn, now: datetime) -> None:
    """End a session. Idempotent."""
    with database.work(signed_in.tenant_id) as connection:
        connection.execute(
            _QUERIES["revoke_session"], {"tenant_id": signed_in.tenant_id, "session_id": signed_in.session_id, "now": now}
        )


def digest_token(token: str) -> bytes:
    """Return what the database keeps of a token: SHA-256 over its ASCII bytes."""
    return hashlib.sha256(token.encode("ascii")).digest()


def _fits(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
