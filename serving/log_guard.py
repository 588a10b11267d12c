"""The last step before a log line is written: a value in it is replaced by its class, and an incident is opened.

Logging never waits and never raises: what is found goes to a queue, and a thread reports it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from queue import Empty, Full, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from masking.guard import Surface
    from masking.number_index import NumberIndex

_MAX_WAITING = 256
_MAX_DEPTH = 5
# From so many digits on a number may be a card's.
_LONG_NUMBER = 10**12
_NEAR = 200
_NAME = re.compile(r"[A-Za-z_]{1,20}(?:\.[A-Za-z_]{1,20}){0,2}")
_UNCHECKED = "UNCHECKED"
_MAX_CHARACTERS = 20_000
# Nothing that the guard looks for is without these.
_WORTH_A_LOOK = re.compile(r"[@\d]")
# Our own ids, hashes and times: digits without a meaning outside.
_OURS = re.compile(
    r"(?:[a-z]{3}_)?[0-9a-f]{32}|[0-9a-f]{64}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)

Report = Callable[["Surface", Sequence[str], str], None]
"""Tell of a finding: where it was about to go, the classes, and the place (a name or a hash, never a value)."""


def _no_index() -> None:
    return None


class OutputGuard:
    """Replace values in what a process writes for people: log lines and traces. One a process.

    Before `join` it knows check digits alone; after it the numbers of the tenant's customers too.
    """

    def __init__(self) -> None:
        self._index_of: Callable[[], NumberIndex | None] = _no_index
        self._waiting: Queue[tuple[Surface, tuple[str, ...], str]] = Queue(_MAX_WAITING)
        self._is_joined = False

    def join(self, *, report: Report, index_of: Callable[[], NumberIndex | None] | None = None) -> None:
        """Give it a way to open incidents, and the index of the process if it has one; starts its thread.

        `index_of` returns None while nothing is loaded.
        """
        self._index_of = index_of or _no_index
        if not self._is_joined:
            self._is_joined = True
            Thread(target=self._report_for_ever, args=(report,), name="leak-reports", daemon=True).start()

    def leave(self) -> None:
        """Forget the index; check digits are looked at as before."""
        self._index_of = _no_index

    def clean_event(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Clean one event of structlog. A processor: the last one before the line is rendered."""
        from masking.guard import Surface

        classes: set[str] = set()
        cleaned = {key: self._clean(value, classes) for key, value in event.items()}
        if not classes:
            return cleaned
        self.note(Surface.LOG, classes, f"log {_name_of(event.get('event'))}")
        return {**cleaned, "leak_blocked": True}

    def clean_record(self, record: logging.LogRecord) -> logging.LogRecord:
        """Clean one record of the standard library's logging, its traceback too."""
        from masking.guard import Surface

        classes: set[str] = set()
        # Written out here in any case: a handler would print arguments that do not fit one by one.
        record.msg, record.args = self._clean(_message_of(record), classes), ()
        if record.exc_info:
            text = logging.Formatter().formatException(record.exc_info)
            record.exc_text = self._clean(text, classes)
        if classes:
            self.note(Surface.LOG, classes, f"logger {_name_of(record.name)}")
        return record

    def clean_text(self, text: str, classes: set[str]) -> str:
        """Return the text, or what stands for it; adds the classes that were found."""
        from masking.guard import find_leaks

        if not _WORTH_A_LOOK.search(text) or _OURS.fullmatch(text):
            return text
        try:
            found = {hit.pii_class.value for hit in find_leaks(text[:_MAX_CHARACTERS], index=self._index_of())}
        except Exception:  # noqa: BLE001 - whatever broke, the line is not written as it stands and logging goes on
            classes.add(_UNCHECKED)
            return f"[blocked {_UNCHECKED}]"
        if not found:
            # A value that the cut goes through was not seen: what is near it goes too.
            return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - _NEAR]} [cut]"
        classes |= found
        return f"[blocked {' '.join(sorted(found))}]"

    def note(self, surface: Surface, classes: set[str], place: str) -> None:
        """Leave a finding for the thread. When many wait, one more says nothing new."""
        try:
            self._waiting.put_nowait((surface, tuple(sorted(classes)), place))
        except Full:
            return

    def take_findings(self) -> list[tuple[Surface, tuple[str, ...], str]]:
        """Return what waits to be reported, and take it off."""
        findings = []
        while True:
            try:
                findings.append(self._waiting.get_nowait())
            except Empty:
                return findings

    def _clean(self, value: Any, classes: set[str], depth: int = 0) -> Any:
        if isinstance(value, str):
            return self.clean_text(value, classes)
        if isinstance(value, int) and abs(value) >= _LONG_NUMBER:
            written = str(value)
            cleaned = self.clean_text(written, classes)
            return value if cleaned == written else cleaned
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth >= _MAX_DEPTH:
            return self.clean_text(_write_out(value), classes)
        if isinstance(value, Mapping):
            return {self._clean(key, classes, depth + 1): self._clean(inner, classes, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(inner, classes, depth + 1) for inner in value]
        # The renderer would write its repr.
        return self.clean_text(_write_out(value), classes)

    def _report_for_ever(self, report: Report) -> None:
        # Loaded here, so that no line of the process's own work waits for it.
        import masking.guard  # noqa: F401

        while True:
            finding = self._waiting.get()
            try:
                report(*finding)
            except Exception:  # noqa: BLE001, S112 - telling of it in the log would come back here; what was found is not written
                continue


OUTPUT_GUARD = OutputGuard()
"""The one of this process."""


def guard_standard_logging(guard: OutputGuard = OUTPUT_GUARD) -> None:
    """Let every record of every logger go through the guard, whatever handlers libraries set up. Idempotent."""

    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        return guard.clean_record(logging.LogRecord(*args, **kwargs))

    logging.setLogRecordFactory(make)


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a wrong format string must not stop who logs
        return f"{_write_out(record.msg)} [its arguments do not fit]"


def _write_out(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - an object that cannot say what it is
        return f"<{type(value).__name__}>"


def _name_of(value: object) -> str:
    """Return a name that says where in the code it was: an identifier, or nothing of what was written."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else "unnamed"
