"""Tell the person at the terminal what set-up is doing. Everything goes to standard error: standard output is the command's."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_BEAT_ON_TERMINAL_S = 1.0
_BEAT_ELSEWHERE_S = 30.0


class Reporter:
    """Print one line when a step starts and one when it ends, and a sign of life in between."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()

    def say(self, text: str) -> None:
        """Print a line."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    @contextmanager
    def step(self, *, position: int, count: int, title: str, made: Path) -> Iterator[None]:
        """Report a step; after it the seconds it took and the size of what it made. An error ends it without that line."""
        self.say(f"[{position}/{count}] {title}")
        started = time.monotonic()
        done = threading.Event()
        beat = threading.Thread(target=self._show_life, args=(done, started), daemon=True)
        beat.start()
        try:
            yield
        finally:
            done.set()
            beat.join()
            self._clear_line()
        self.say(f"      done in {time.monotonic() - started:.1f} s, {folder_megabytes(made)} MB in {made.name}")

    def _show_life(self, done: threading.Event, started: float) -> None:
        interval = _BEAT_ON_TERMINAL_S if self._is_terminal else _BEAT_ELSEWHERE_S
        while not done.wait(interval):
            elapsed = time.monotonic() - started
            if self._is_terminal:
                self._stream.write(f"\r      ... {elapsed:.0f} s")
                self._stream.flush()
            else:
                self.say(f"      ... {elapsed:.0f} s")

    def _clear_line(self) -> None:
        if self._is_terminal:
            self._stream.write("\r\033[K")


def folder_megabytes(folder: Path) -> int:
    """Return the size of a folder's files. Units: MB of 10^6 bytes, rounded."""
    total = 0
    for path in folder.rglob("*"):
        status = path.lstat()
        if not path.is_dir():
            total += status.st_size
    return round(total / 1_000_000)
