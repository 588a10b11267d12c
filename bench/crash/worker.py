"""The process that writes: one batching writer and a pool for single calls, asked over a socket.

`kills.py` starts and kills it. It gets its place as one JSON line and ends with its owner,
stopped or not.
"""

from __future__ import annotations

import ctypes
import json
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any, cast

import psycopg

from bench.crash import planted
from bench.crash.place import Place
from bench.crash.workload import Unit
from domain.errors import TellergateError
from domain.transfer import TransferRequest, TransferResult
from gates import batching
from gates.batching import BatchWriter
from gates.execution import execute_transfer
from storage.pools import Pool, open_pool

AUTHKEY = b"storm"
# Source: prctl(2).
_PR_SET_PDEATHSIG = 1
Answer = tuple[int, "list[TransferResult] | str"]
"""The unit's number, and its answers or the code of the error."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Desk:
    """Serve one caller: batched units at once, single calls one after the other."""

    connection: Connection
    place: Place
    pool: Pool
    writer: BatchWriter
    lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self) -> None:
        """Take units till the caller hangs up."""
        try:
            while True:
                hand: list[tuple[int, Unit]] = self.connection.recv()
                for number, unit in hand:
                    if not unit.alone:
                        self._submit(number, unit)
                for number, unit in hand:
                    if unit.alone:
                        self._execute(number, unit)
        except (EOFError, OSError):
            return

    def _submit(self, number: int, unit: Unit) -> None:
        def pass_on(future: Future[list[TransferResult]]) -> None:
            error = future.exception()
            self._say((number, future.result() if error is None else _name(error)))

        try:
            self.writer.submit(unit.requests).add_done_callback(pass_on)
        except TellergateError as error:
            self._say((number, error.code))

    def _execute(self, number: int, unit: Unit) -> None:
        try:
            self._say((number, [execute_transfer(self.pool, self.place.mint("executor"), unit.requests[0], now=_now())]))
        except TellergateError as error:
            self._say((number, error.code))

    def _say(self, answer: Answer) -> None:
        with self.lock:
            try:
                self.connection.send(answer)
            except OSError:
                # The caller went to another worker; its diary says that it never heard.
                return


def _name(error: BaseException) -> str:
    return error.code if isinstance(error, TellergateError) else f"{type(error).__name__}: {error}"


def main() -> int:
    """Serve till the owner ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    settings = json.loads(sys.stdin.readline())
    place, socket_path = Place(**settings["place"]), settings["socket"]
    pool = open_pool(place.dsn("executor"), name="storm-single", max_size=4)
    writer_pool = open_pool(place.dsn("executor"), name="storm-writer", max_size=1)
    deliver = planted.plant_in_worker(settings["planted"])
    note_lost_calls(Path(f"{socket_path}.lost"))
    writer = BatchWriter(writer_pool, lambda: place.mint("executor"), now=_now, deliver=deliver)
    writer.start()
    Path(socket_path).unlink(missing_ok=True)
    with Listener(socket_path, family="AF_UNIX", backlog=32, authkey=AUTHKEY) as listener:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            desk = Desk(listener.accept(), place, pool, writer)
            threading.Thread(target=desk.serve, daemon=True).start()


def note_lost_calls(path: Path) -> None:
    """Append the ids of each call of the writer that ended without an answer: the callers don't see that it was sent again."""
    execute = vars(batching)["execute_transfers"]

    def note(connection: psycopg.Connection[Any], requests: Sequence[TransferRequest], **named: Any) -> list[TransferResult]:
        try:
            return cast("list[TransferResult]", execute(connection, requests, **named))
        except psycopg.OperationalError:
            if connection.broken:
                with path.open("a", encoding="ascii") as file:
                    file.writelines(f"{request.transfer_id.hex}\n" for request in requests)
            raise

    vars(batching)["execute_transfers"] = note


if __name__ == "__main__":
    sys.exit(main())
