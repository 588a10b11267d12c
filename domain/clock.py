"""Time: aware UTC only; the edge reads a clock and passes `now` down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from domain.errors import InvalidInput


class NaiveTime(InvalidInput):
    """Say that a time came without a zone, or with one that is not UTC."""

    code = "naive_time"


class Clock(Protocol):
    """Tell the time. Only `serving` holds one that reads the machine."""

    def now(self) -> datetime:
        """Return an aware UTC time."""
        ...


def require_utc(moment: datetime) -> datetime:
    """Return `moment` if it is aware UTC. Raises: NaiveTime."""
    if moment.tzinfo is None or moment.utcoffset() != timedelta(0):
        raise NaiveTime("times are aware UTC")
    return moment.astimezone(UTC)


def render_time(moment: datetime) -> str:
    """Write RFC 3339 with microseconds and `Z`, the one form on the wire and in digests."""
    return require_utc(moment).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Read RFC 3339. Raises: NaiveTime when there is no zone, InvalidInput when it is no time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("expected an RFC 3339 time such as 2026-01-31T12:00:00Z", code="invalid_time") from error
    if moment.tzinfo is None:
        raise NaiveTime("times are aware UTC")
    return moment.astimezone(UTC)
