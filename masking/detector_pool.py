"""Detection in processes of its own: a model's hundred milliseconds keep no other request of this process waiting."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Collection
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty, Queue
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Any

from domain.errors import SetupError, Unavailable
from masking.number_index import NumberIndex
from masking.vault import KnownValues

if TYPE_CHECKING:
    from masking.detection import Detection

_START_S = 120.0
_ANSWER_S = 30.0
_WAIT_S = 10.0
_STOP_S = 2.0
_PAUSE_S = 5.0


class MaskingUnavailable(Unavailable):
    """Say that no text can be masked at this moment, so none was taken."""

    code = "masking_unavailable"


class DetectorNotStarted(SetupError):
    """Say that a detecting process did not come up."""

    code = "detector_not_started"


@dataclass(slots=True)
class _Worker:
    """Hold a process, our end of its pipe, and which numbers it has."""

    process: BaseProcess
    pipe: Connection
    index_version: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """Hold one text on its way to a worker, the tenant's numbers only where it has others. Never written anywhere."""

    text: str = field(repr=False)
    known_values: KnownValues | None = field(repr=False)
    has_numbers: bool
    index: NumberIndex | None
    merchants: tuple[str, ...]
    keep: tuple[tuple[int, int], ...]
    epoch: int


class DetectorPool:
    """Find values in several processes. Implements `masking.detection.Detects`; safe in threads.

    A worker that dies or hangs is replaced; the text that it had is refused, and asking again is safe.
    Raises: DetectorNotStarted when the first ones do not come up, such as for an unusable model.
    """

    def __init__(self, ner_folder: Path, processes: int) -> None:
        self._ner_folder = ner_folder
        self._context = multiprocessing.get_context("spawn")
        self._idle: Queue[_Worker] = Queue()
        self._closed = Flag()
        self._epoch = 0
        starting = [self._launch() for _ in range(processes)]
        for worker in starting:
            self._await_start(worker)
            self._idle.put(worker)

    def detect(
        self,
        text: str,
        *,
        known_values: KnownValues | None = None,
        known_numbers: NumberIndex | None = None,
        merchants: Collection[str] = (),
        keep: Collection[tuple[int, int]] = (),
    ) -> tuple[Detection, ...]:
        """Return the places, as `Detector.detect`. Raises: MaskingUnavailable, and what the detector raises."""
        try:
            worker = self._idle.get(timeout=_WAIT_S)
        except Empty:
            raise MaskingUnavailable("every detecting process is busy: try again in some seconds") from None
        try:
            answer = self._ask(worker, text, known_values, known_numbers, tuple(merchants), tuple(keep))
        except (OSError, EOFError, TimeoutError) as error:
            self._replace(worker)
            raise MaskingUnavailable("the detecting process broke off: nothing was taken, try again") from error
        except BaseException:
            # Whatever stopped us in the middle: its answer would be taken for the next one's.
            self._replace(worker)
            raise
        self._idle.put(worker)
        if isinstance(answer, Exception):
            raise answer
        found: tuple[Detection, ...] = answer
        return found

    def forget_known_values(self) -> None:
        """Have each process drop the values that it keeps, before its next text."""
        self._epoch += 1

    def close(self) -> None:
        """End the processes; a text that is with one of them is refused."""
        self._closed.set()
        while True:
            try:
                worker = self._idle.get_nowait()
            except Empty:
                return
            _end(worker)

    def _ask(
        self,
        worker: _Worker,
        text: str,
        known_values: KnownValues | None,
        numbers: NumberIndex | None,
        merchants: tuple[str, ...],
        keep: tuple[tuple[int, int], ...],
    ) -> Any:
        version = None if numbers is None else (numbers.tenant_id, numbers.version)
        is_new = version is not None and version != worker.index_version
        asked = _Asked(text, known_values, numbers is not None, numbers if is_new else None, merchants, keep, self._epoch)
        worker.pipe.send(asked)
        if is_new:
            worker.index_version = version
        if not worker.pipe.poll(_ANSWER_S):
            raise TimeoutError
        return worker.pipe.recv()

    def _launch(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._ner_folder), name="detector", daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _await_start(self, worker: _Worker) -> None:
        try:
            ready = worker.pipe.recv() if worker.pipe.poll(_START_S) else None
        except (OSError, EOFError):
            ready = None
        if ready != "ready":
            _end(worker)
            if isinstance(ready, Exception):
                raise ready
            raise DetectorNotStarted("a detecting process did not come up: its reason stands in the log above")

    def _replace(self, worker: _Worker) -> None:
        """Put another one in its place, in the background: nobody waits for its start."""
        _end(worker)
        if not self._closed.is_set():
            Thread(target=self._start_again, name="detector-start", daemon=True).start()

    def _start_again(self) -> None:
        while not self._closed.is_set():
            try:
                worker = self._launch()
                self._await_start(worker)
            except Exception:  # noqa: BLE001 - whatever keeps it from starting, until it starts texts are refused
                self._closed.wait(_PAUSE_S)
                continue
            if self._closed.is_set():
                _end(worker)
            else:
                self._idle.put(worker)
            return


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.kill()
    worker.process.join(_STOP_S)


def _work(pipe: Connection, ner_folder: Path) -> None:
    """Run in the worker: answer until our end of the pipe is gone."""
    from masking.detection import build_detector, forget_known_values
    from masking.phones import forget_numbers

    # A terminal's Ctrl-C reaches the whole group: who started us ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        detector = build_detector(ner_folder)
    except Exception as error:  # noqa: BLE001 - the pool raises it
        pipe.send(error)
        return
    pipe.send("ready")
    numbers: NumberIndex | None = None
    epoch = 0
    while True:
        try:
            asked: _Asked = pipe.recv()
        except (EOFError, OSError):
            return
        numbers = asked.index or numbers
        if asked.epoch != epoch:
            epoch = asked.epoch
            forget_known_values()
            forget_numbers()
        try:
            found: Any = detector.detect(
                asked.text,
                known_values=asked.known_values,
                known_numbers=numbers if asked.has_numbers else None,
                merchants=asked.merchants,
                keep=asked.keep,
            )
        except Exception as error:  # noqa: BLE001 - the pool raises it; its message may quote the text, so only its kind is told
            found = MaskingUnavailable(f"detection failed: {type(error).__name__}")
        pipe.send(found)
