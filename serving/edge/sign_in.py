"""Let somebody in, unless he tried too often."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from domain.clock import Clock
from domain.errors import InvalidInput
from serving.edge.database import EdgeDatabase
from serving.edge.sessions import Credentials, SessionKind, SignedIn, SignInRefused, sign_in
from serving.edge.throttle import FailureThrottle, ThrottleRule

_PER_NAME = ThrottleRule(failures=5, window_s=300)
_PER_SOURCE = ThrottleRule(failures=20, window_s=300)


class TooManyTries(InvalidInput):
    """Say that a name or an address failed too often."""

    code = "too_many_tries"

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"too many failed tries: wait {wait_s} seconds, then try again")
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class SignInDesk:
    """Check credentials with a limit on failures per name and per address. The answer never says which part was wrong."""

    database: EdgeDatabase
    clock: Clock
    lifetime: timedelta
    by_name: FailureThrottle = field(default_factory=lambda: FailureThrottle(_PER_NAME))
    by_source: FailureThrottle = field(default_factory=lambda: FailureThrottle(_PER_SOURCE))

    def sign_in(self, credentials: Credentials, *, kind: SessionKind, source: str) -> SignedIn:
        """Start a session. Raises: SignInRefused, TooManyTries, DatabaseUnavailable."""
        now = self.clock.now()
        name = f"{credentials.tenant_id}/{credentials.username.casefold()}"[:200]
        wait_s = max(self.by_name.wait_s(name, now), self.by_source.wait_s(source, now))
        if wait_s:
            raise TooManyTries(wait_s)
        try:
            signed_in = sign_in(self.database, credentials, kind=kind, now=now, lifetime=self.lifetime)
        except SignInRefused:
            self.by_name.note_failure(name, now)
            self.by_source.note_failure(source, now)
            raise
        self.by_name.forget(name)
        return signed_in
