"""What `--to` may say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage.backup.targets import BackupEnd, InvalidTarget, Latest, UntilTime, describe_target, parse_target, recovery_settings

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def test_the_three_forms() -> None:
    assert parse_target("latest", now=NOW) == Latest()
    assert parse_target("backup", now=NOW) == BackupEnd()
    target = parse_target("2026-03-02T12:30:00.000001+01:00", now=NOW)
    assert target == UntilTime(datetime(2026, 3, 2, 11, 30, 0, 1, tzinfo=UTC))
    assert describe_target(target) == "2026-03-02T11:30:00.000001+00:00"


@pytest.mark.parametrize("text", ["", "now", "yesterday", "2026-03-02T11:00:00", "2026-13-01T00:00:00Z", "12:00", "LATEST "])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidTarget):
        parse_target(text, now=NOW)


def test_the_future_is_refused() -> None:
    parse_target(NOW.isoformat(), now=NOW)
    with pytest.raises(InvalidTarget, match="has not come"):
        parse_target((NOW + timedelta(microseconds=1)).isoformat(), now=NOW)


def test_the_server_is_told_the_moment_in_utc_with_what_committed_at_it() -> None:
    settings = recovery_settings(UntilTime(NOW), timeline=3)
    assert settings["recovery_target_time"] == "2026-03-02 12:00:00.000000+00"
    assert settings["recovery_target_inclusive"] == "on"
    assert settings["recovery_target_timeline"] == "3"
    assert "recovery_target_time" not in recovery_settings(Latest(), timeline=1)
    assert recovery_settings(BackupEnd(), timeline=1)["recovery_target"] == "immediate"
