"""The error tree. Each leaf lives beside the function that raises it and inherits from one branch here.

TellergateError
├── InvalidInput      the caller sent something malformed or unknown          (edge: 4xx)
│   ├── NotFound      it does not exist, or not for this tenant or user       (edge: 404)
│   └── Conflict      same key, other body; or a state that forbids it        (edge: 409 or 422)
├── Forbidden         known caller, missing right                             (edge: 403)
├── Unavailable       a part is down or slow; nothing moved; retry the same   (edge: 503)
├── CouldNotDecide    the gate could not reach an answer; ends in review
├── BrokenInvariant   our own data contradicts itself; incident, stop there   (edge: 500)
└── SetupError        the machine or the settings are not right; says the mend (CLI: exit 1)
"""

from __future__ import annotations


class TellergateError(Exception):
    """Base of all errors that this project raises on purpose.

    `code` is stable and machine-readable; `message` says what and where and holds no personal data.
    """

    code: str = "tellergate_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidInput(TellergateError):
    """Say that the caller sent something malformed or unknown."""

    code = "invalid_input"


class NotFound(InvalidInput):
    """Say that a thing does not exist, or not for this tenant or user."""

    code = "not_found"


class Conflict(InvalidInput):
    """Say that the same key came with another body, or that a state forbids the act."""

    code = "conflict"


class Forbidden(TellergateError):
    """Say that a known caller lacks the right."""

    code = "forbidden"


class Unavailable(TellergateError):
    """Say that a part is down or slow: nothing moved, retry with the same key."""

    code = "unavailable"


class CouldNotDecide(TellergateError):
    """Say that the gate could not reach an answer; the caller turns this into review."""

    code = "could_not_decide"


class BrokenInvariant(TellergateError):
    """Say that our own data contradicts itself."""

    code = "broken_invariant"


class SetupError(TellergateError):
    """Say what on this machine or in the settings is wrong, and how to mend it."""

    code = "setup_error"
