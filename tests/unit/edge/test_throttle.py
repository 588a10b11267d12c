"""Failures are counted in a window and forgotten after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from serving.edge.throttle import FailureThrottle, ThrottleRule

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def test_the_next_try_waits_until_the_oldest_failure_leaves_the_window() -> None:
    throttle = FailureThrottle(ThrottleRule(failures=3, window_s=60))
    for second in (0, 10, 20):
        assert throttle.wait_s("ada", NOW + timedelta(seconds=second)) == 0
        throttle.note_failure("ada", NOW + timedelta(seconds=second))
    assert throttle.wait_s("ada", NOW + timedelta(seconds=20)) == 40
    assert throttle.wait_s("ben", NOW) == 0
    assert throttle.wait_s("ada", NOW + timedelta(seconds=60)) == 0
    throttle.note_failure("ada", NOW + timedelta(seconds=60))
    assert throttle.wait_s("ada", NOW + timedelta(seconds=60)) == 10


def test_a_success_forgets() -> None:
    throttle = FailureThrottle(ThrottleRule(failures=1, window_s=60))
    throttle.note_failure("ada", NOW)
    throttle.forget("ada")
    assert throttle.wait_s("ada", NOW) == 0


def test_memory_is_bounded() -> None:
    throttle = FailureThrottle(ThrottleRule(failures=1, window_s=60))
    for number in range(20_100):
        throttle.note_failure(str(number), NOW)
    assert throttle.wait_s("0", NOW) == 0
    assert throttle.wait_s("20099", NOW) > 0
