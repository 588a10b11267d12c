"""Stop asking a model that does not answer, and find out by one probe when it does again."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class BreakerState(StrEnum):
    """Name what the breaker lets through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """One probe is on its way; everyone else is refused."""


class CircuitBreaker:
    """Open after `failure_threshold` failures in a row; after `open_s` let one probe through. For one event loop, no locks.

    `monotonic` returns seconds; it is handed in so that tests own the time.
    """

    def __init__(self, *, monotonic: Callable[[], float], failure_threshold: int = 3, open_s: float = 5.0) -> None:
        self._monotonic = monotonic
        self._failure_threshold = failure_threshold
        self._open_s = open_s
        self._failures = 0
        self._opened_at: float | None = None
        self._is_probing = False

    @property
    def state(self) -> BreakerState:
        """Return the state as a caller would meet it now."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        if self._is_probing:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def try_enter(self) -> bool:
        """Say whether a call may go out. Who gets True must call one of `succeed`, `fail` or `abandon`."""
        if self._opened_at is None:
            return True
        if self._is_probing or self._monotonic() - self._opened_at < self._open_s:
            return False
        self._is_probing = True
        return True

    def succeed(self) -> None:
        """Note an answer: closed again."""
        self._failures = 0
        self._opened_at = None
        self._is_probing = False

    def fail(self) -> None:
        """Note a failure."""
        self._failures += 1
        self._is_probing = False
        if self._opened_at is not None or self._failures >= self._failure_threshold:
            self._opened_at = self._monotonic()

    def abandon(self) -> None:
        """Note that the caller went away before there was an answer: it says nothing about the model."""
        self._is_probing = False
