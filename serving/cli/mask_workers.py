"""Mask in several processes: each loads the detector, the answers come in the order of the questions."""

from __future__ import annotations

import multiprocessing
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from domain.errors import SetupError, TellergateError
from serving.cli.local_masker import LocallyMasked, LocalMasker, load_local_masker

_WAITING_PER_PROCESS = 4
_masker: LocalMasker | None = None


class WorkerEnded(SetupError):
    """Say that a process that masks could not start or ended by itself."""

    code = "masking_unavailable"


def mask_in_processes(models_dir: Path, token_key: bytes, processes: int) -> Callable[[Any], Iterator[tuple[Any, Any]]]:
    """Start the processes and wait until one has loaded. Raises: NerModelUnusable, WorkerEnded."""
    pool = ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(models_dir, token_key)
    )
    try:
        problem = pool.submit(_ready).result()
    except BrokenProcessPool as error:
        raise WorkerEnded("a process that masks could not start") from error
    if problem is not None:
        pool.shutdown(cancel_futures=True)
        raise problem

    def run(requests: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        with pool:
            yield from _answer_in_order(pool, requests, processes)

    return run


def _answer_in_order(pool: ProcessPoolExecutor, requests: Iterable[tuple[Any, Any]], processes: int) -> Iterator[tuple[Any, Any]]:
    """Read in a thread: an answer that is ready goes out while the next question is waited for."""
    waiting: queue.Queue[tuple[Any, Future[Any] | TellergateError] | BaseException | None]
    waiting = queue.Queue(maxsize=_WAITING_PER_PROCESS * processes)

    def read() -> None:
        try:
            for key, request in requests:
                waiting.put((key, request if isinstance(request, TellergateError) else pool.submit(_mask, *request)))
            waiting.put(None)
        except BaseException as error:  # noqa: BLE001 - told by the thread that answers
            waiting.put(error)

    threading.Thread(target=read, daemon=True).start()
    while (item := waiting.get()) is not None:
        if isinstance(item, BrokenProcessPool):
            raise WorkerEnded("a process that masks ended by itself") from item
        if isinstance(item, BaseException):
            raise item
        key, future = item
        try:
            yield key, future if isinstance(future, TellergateError) else future.result()
        except BrokenProcessPool as error:
            raise WorkerEnded("a process that masks ended by itself") from error


_problem: TellergateError | None = None


def _start(models_dir: Path, token_key: bytes) -> None:
    global _masker, _problem  # noqa: PLW0603 - what a process has loaded
    try:
        _masker = load_local_masker(models_dir, token_key)
    except TellergateError as error:
        _problem = error


def _ready() -> TellergateError | None:
    return _problem


def _mask(text: str, known: list[tuple[str, str]]) -> LocallyMasked | TellergateError:
    if _masker is None:
        return _problem or WorkerEnded("a process that masks has not loaded")
    try:
        return _masker.mask(text, known)
    except TellergateError as error:
        return error
