"""Up to which moment a recovery goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.clock import parse_time, require_utc
from domain.errors import InvalidInput


class InvalidTarget(InvalidInput):
    """Say why a recovery cannot go to a moment."""

    code = "invalid_target"


@dataclass(frozen=True, slots=True)
class Latest:
    """Everything that the archive holds."""


@dataclass(frozen=True, slots=True)
class BackupEnd:
    """The base backup alone, without the archive."""


@dataclass(frozen=True, slots=True)
class UntilTime:
    """Every transaction that committed at `moment` or before, and none after."""

    moment: datetime


Target = Latest | BackupEnd | UntilTime


def parse_target(text: str, *, now: datetime) -> Target:
    """Read `latest`, `backup`, or an RFC 3339 time with a zone that has passed. Raises: InvalidTarget."""
    if text == "latest":
        return Latest()
    if text == "backup":
        return BackupEnd()
    try:
        moment = parse_time(text)
    except InvalidInput as error:
        raise InvalidTarget(
            f"--to is `latest`, `backup`, or a time with its zone such as 2026-01-31T12:00:00Z: {error.message}"
        ) from error
    if moment > require_utc(now):
        raise InvalidTarget(f"{moment.isoformat()} has not come yet: it is {require_utc(now).isoformat(timespec='seconds')}")
    return UntilTime(moment)


def describe_target(target: Target) -> str:
    """Write a target for people."""
    match target:
        case Latest():
            return "latest"
        case BackupEnd():
            return "backup"
        case UntilTime(moment):
            return moment.isoformat()


def recovery_settings(target: Target, *, timeline: int) -> dict[str, str]:
    """Return the server settings of a target. Source: PostgreSQL 18 manual, 19.5.6."""
    settings = {"recovery_target_timeline": str(timeline), "recovery_target_action": "promote"}
    match target:
        case Latest():
            return settings
        case BackupEnd():
            return settings | {"recovery_target": "immediate"}
        case UntilTime(moment):
            return settings | {
                "recovery_target_time": f"{require_utc(moment):%Y-%m-%d %H:%M:%S.%f}+00",
                "recovery_target_inclusive": "on",
            }
