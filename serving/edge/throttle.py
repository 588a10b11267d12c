"""How often may somebody try a password? In memory: one edge process, and a restart forgives."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

_MAX_KEYS = 20_000


@dataclass(frozen=True, slots=True)
class ThrottleRule:
    """Hold how many failures a key may have within a window."""

    failures: int
    window_s: int


@dataclass(slots=True)
class FailureThrottle:
    """Count failures per key in a sliding window. Old keys fall out first when there are too many."""

    rule: ThrottleRule
    _failures: OrderedDict[str, deque[datetime]] = field(default_factory=OrderedDict)

    def wait_s(self, key: str, now: datetime) -> int:
        """Return how many seconds the key has to wait, 0 when it may try."""
        failures = self._failures.get(key)
        if failures is None:
            return 0
        window = timedelta(seconds=self.rule.window_s)
        while failures and now - failures[0] >= window:
            failures.popleft()
        if len(failures) < self.rule.failures:
            return 0
        return max(1, int((failures[0] + window - now).total_seconds()))

    def note_failure(self, key: str, now: datetime) -> None:
        """Add one failure."""
        self._failures.setdefault(key, deque(maxlen=self.rule.failures)).append(now)
        self._failures.move_to_end(key)
        while len(self._failures) > _MAX_KEYS:
            self._failures.popitem(last=False)

    def forget(self, key: str) -> None:
        """Drop the key after a success."""
        self._failures.pop(key, None)
