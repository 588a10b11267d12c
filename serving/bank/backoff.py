"""How long to wait before the next try."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random

_MAX_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class Backoff:
    """Double from `base_s` to `cap_s`, and spread each wait over its upper half, so that many do not come back at once."""

    base_s: int
    cap_s: int

    def wait_after(self, attempts: int, random: Random, *, at_least_s: int = 0) -> timedelta:
        """Return the pause after so many attempts (1 for the first). `at_least_s`: what the bank asked for, up to the cap."""
        whole_s = min(self.cap_s, self.base_s * 2 ** min(max(attempts, 1) - 1, _MAX_DOUBLINGS))
        drawn = timedelta(milliseconds=random.randint(whole_s * 500, whole_s * 1000))
        return max(drawn, timedelta(seconds=min(at_least_s, self.cap_s)))
