"""The one batching writer of a tenant: takes whatever waits, writes it in one call, gives everyone his own answer.

No timer: while a batch is being written the next one gathers. A lost connection leaves a batch in doubt; it is sent again with
the same ids, and what had landed answers `already_accepted`. A second writer of the tenant fences the first one off.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.errors import InsufficientPrivilege, ObjectNotInPrerequisiteState, QueryCanceled

from domain.errors import TellergateError, Unavailable
from domain.transfer import MAX_BATCH, TransferRequest, TransferResult
from domain.transfer_input import require_well_typed
from gates.execution import claim_writer, execute_transfers
from ledger.port import BatchTooLarge
from storage.pools import Pool
from storage.tenancy import clear_session_context, set_session_context
from storage.unit_of_work import CommitUnknown, DatabaseUnavailable

_MAX_WAITING = 65_536
_RETRY_PAUSE = timedelta(milliseconds=100)
_GIVE_UP = timedelta(seconds=10)
# A context lives for minutes; a fresh one is set well before.
_CONTEXT_USE = timedelta(seconds=30)


class WriterFenced(Unavailable):
    """Say that another batching writer took over: nothing of this request moved here, send it to the other one."""

    code = "writer_fenced"


class WriterOverloaded(Unavailable):
    """Say that too many requests wait already: nothing moved, try again with the same ids."""

    code = "writer_overloaded"


class WriterStopped(Unavailable):
    """Say that the writer has ended, by order or by a fault of its own: nothing of this request moved."""

    code = "writer_stopped"


@dataclass(slots=True)
class _Waiting:
    requests: Sequence[TransferRequest]
    ends_open: bool
    answer: Future[list[TransferResult]] = field(default_factory=Future)


Outcome = tuple["Future[list[TransferResult]]", "list[TransferResult] | Exception"]


def resolve(outcomes: Sequence[Outcome]) -> None:
    """Give each caller his answer, in the thread that calls. Those who have one keep it."""
    for answer, outcome in outcomes:
        # No question first whether it has one: that takes the future's lock once more for each caller.
        try:
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
        except InvalidStateError:
            continue


class BatchWriter:
    """Write what callers submit, batch by batch, in one thread. `mint` makes a context of role executor.

    `deliver` hands a batch's answers out; an event loop gives one that wakes it once a batch. Start it, submit, stop it: what
    waits when it stops is still written. `give_up`: how long a request stays with a writer whose database does not answer.
    """

    def __init__(
        self,
        pool: Pool,
        mint: Callable[[], str],
        *,
        now: Callable[[], datetime],
        deliver: Callable[[Sequence[Outcome]], None] = resolve,
        max_waiting: int = _MAX_WAITING,
        give_up: timedelta = _GIVE_UP,
    ) -> None:
        self._pool = pool
        self._mint = mint
        self._now = now
        self._deliver = deliver
        self._max_waiting = max_waiting
        self._give_up = give_up
        self._ready = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_count = 0
        self._stopping = False
        self._ended: Unavailable | None = None
        # From here on the writer's thread alone.
        self._in_hand: list[_Waiting] = []
        self._in_doubt = False
        self._epoch: int | None = None
        self._reached_database = False
        self._failing_since_ns: int | None = None
        self._thread = threading.Thread(target=self._run, name="batch-writer", daemon=True)

    @property
    def ended(self) -> Unavailable | None:
        """Return why the writer takes nothing more: fenced off, stopped, or ended by a fault. None while it does."""
        return self._ended

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end the thread. Idempotent."""
        with self._ready:
            self._stopping = True
            self._ready.notify()
        if self._thread.ident is not None:
            self._thread.join()
        self._end(WriterStopped("the writer was stopped"))

    def submit(self, requests: Sequence[TransferRequest]) -> Future[list[TransferResult]]:
        """Hand over one request, or a chain that stays together; the future gives one answer for each.

        Once the future can't be cancelled any more, it was sent. Raises: BatchTooLarge, InvalidTransfer, WriterOverloaded,
        WriterFenced, WriterStopped. The future may raise the last two and DatabaseUnavailable, when nothing moved; CommitUnknown,
        when it may have: then ask again with the same ids; or what was wrong with the values of this request.
        """
        if not 1 <= len(requests) <= MAX_BATCH:
            raise BatchTooLarge(f"1 to {MAX_BATCH} requests at once, not {len(requests)}")
        require_well_typed(requests)
        waiting = _Waiting(requests, ends_open=requests[-1].linked)
        with self._ready:
            if self._ended is not None:
                raise _copy(self._ended)
            if self._stopping:
                raise WriterStopped("the writer is stopping")
            if self._waiting_count + len(requests) > self._max_waiting:
                raise WriterOverloaded(f"{self._waiting_count} requests wait already")
            self._waiting.append(waiting)
            self._waiting_count += len(requests)
            self._ready.notify()
        return waiting.answer

    def _run(self) -> None:
        try:
            while self._ended is None and not self._is_drained():
                self._serve()
        except Exception as error:  # noqa: BLE001 - a thread that dies in silence would leave its callers waiting for ever
            self._in_doubt = True
            self._end(WriterStopped(f"the writer met a fault of its own ({type(error).__name__})"))

    def _is_drained(self) -> bool:
        with self._ready:
            return self._stopping and not self._in_hand and not self._waiting

    def _serve(self) -> None:
        self._reached_database = False
        try:
            with self._pool.connection() as connection:
                self._write_until_stopped(connection)
        except ObjectNotInPrerequisiteState:
            self._end(WriterFenced("another batching writer of this tenant took over; ask it with the same ids"))
        except OperationalError as error:
            self._wait_for_database(error)

    def _write_until_stopped(self, connection: Connection[Any]) -> None:
        connection.autocommit = True
        try:
            opened_at_ns = self._open_session(connection)
            while self._in_hand or self._take():
                if _time_since(opened_at_ns) > _CONTEXT_USE:
                    opened_at_ns = self._open_session(connection)
                self._write(connection)
                self._failing_since_ns = None
        finally:
            if not connection.broken:
                clear_session_context(connection)
                connection.autocommit = False

    def _open_session(self, connection: Connection[Any]) -> int:
        set_session_context(connection, self._mint())
        if self._epoch is None:
            # Once in its life: a writer that comes back after a lost connection must not fence its successor off.
            self._epoch = claim_writer(connection, now=self._now())
        self._reached_database = True
        return time.monotonic_ns()

    def _write(self, connection: Connection[Any]) -> None:
        """Write what is in hand. A call that fails as a whole is halved, till the request that it fails for stands alone."""
        size = len(self._in_hand)
        renewed = False
        while self._in_hand:
            part = self._in_hand[:size]
            try:
                results = self._call(connection, part)
            except InsufficientPrivilege as error:
                # The machine slept, or its clock jumped: a context that was fresh is none.
                if renewed:
                    self._settle(part, error)
                else:
                    self._open_session(connection)
                    renewed = True
            except OperationalError as error:
                if size == 1 or not isinstance(error, QueryCanceled):
                    raise
                size //= 2
            except Exception as error:  # noqa: BLE001 - one caller's malformed request must not take the others' answers away
                if len(part) == 1:
                    self._settle(part, error)
                else:
                    size = len(part) // 2
            else:
                self._hand_out(part, results)
                size *= 2

    def _call(self, connection: Connection[Any], part: Sequence[_Waiting]) -> list[TransferResult]:
        requests = [request for waiting in part for request in waiting.requests]
        try:
            return execute_transfers(connection, requests, now=self._now(), writer_epoch=self._epoch)
        except OperationalError as error:
            # Without a state the connection broke before an answer came, 57P is the server going away; any other error is the
            # server's answer, and it has rolled back what it answers so.
            self._in_doubt = self._in_doubt or error.sqlstate is None or error.sqlstate.startswith("57P")
            raise

    def _wait_for_database(self, error: OperationalError) -> None:
        """What is in hand goes again with the same ids on a new connection, till it is answered or time is up."""
        if self._failing_since_ns is None:
            self._failing_since_ns = time.monotonic_ns()
        if _time_since(self._failing_since_ns) > self._give_up:
            reason = error.sqlstate or type(error).__name__
            unavailable = DatabaseUnavailable(f"the database did not answer ({reason}); nothing was changed, retry")
            self._settle_in_hand(unavailable)
            if self._reached_database:
                # It failed for those in hand; the others get their own time.
                self._failing_since_ns = None
            else:
                self._settle(self._take_all(), unavailable)
        time.sleep(_RETRY_PAUSE.total_seconds())

    def _take(self) -> bool:
        """Take what waits in hand, up to MAX_BATCH requests; False when there is nothing and nothing will come."""
        with self._ready:
            while not self._in_hand:
                while not self._waiting and not self._stopping:
                    self._ready.wait()
                if not self._waiting:
                    return False
                self._take_batch()
        return True

    def _take_batch(self) -> None:
        count = 0
        while self._waiting and count + len(self._waiting[0].requests) <= MAX_BATCH:
            waiting = self._waiting.popleft()
            self._waiting_count -= len(waiting.requests)
            if not waiting.answer.set_running_or_notify_cancel():
                continue
            count += len(waiting.requests)
            self._in_hand.append(waiting)
            if waiting.ends_open:
                # Whatever came behind it in the call would become a leg of its chain.
                break

    def _take_all(self) -> list[_Waiting]:
        with self._ready:
            taken = [waiting for waiting in self._waiting if waiting.answer.set_running_or_notify_cancel()]
            self._waiting.clear()
            self._waiting_count = 0
        return taken

    def _hand_out(self, part: Sequence[_Waiting], results: list[TransferResult]) -> None:
        outcomes: list[Outcome] = []
        place = 0
        for waiting in part:
            outcomes.append((waiting.answer, results[place : place + len(waiting.requests)]))
            place += len(waiting.requests)
        self._give(outcomes)

    def _settle(self, part: Sequence[_Waiting], error: Exception) -> None:
        self._give([(waiting.answer, _copy(error)) for waiting in part])

    def _settle_in_hand(self, error: Exception) -> None:
        unknown = CommitUnknown("the database did not answer; ask again with the same ids")
        self._settle(self._in_hand, unknown if self._in_doubt else error)

    def _give(self, outcomes: Sequence[Outcome]) -> None:
        try:
            self._deliver(outcomes)
        except Exception:
            # The way to the callers is broken; the futures themselves still are not.
            resolve(outcomes)
            raise
        finally:
            answered = {id(answer) for answer, _ in outcomes}
            self._in_hand = [waiting for waiting in self._in_hand if id(waiting.answer) not in answered]
            self._in_doubt = self._in_doubt and bool(self._in_hand)

    def _end(self, reason: Unavailable) -> None:
        with self._ready:
            self._ended = self._ended or reason
        resolve([(waiting.answer, _copy(reason)) for waiting in self._take_all()])
        unknown = CommitUnknown("the writer ended before the database answered; ask again with the same ids")
        resolve([(waiting.answer, _copy(unknown if self._in_doubt else reason)) for waiting in self._in_hand])
        self._in_hand = []


def _time_since(monotonic_ns: int) -> timedelta:
    return timedelta(microseconds=(time.monotonic_ns() - monotonic_ns) // 1000)


def _copy(error: Exception) -> Exception:
    """Each caller raises one of his own: a traceback that threads share grows with each of them."""
    return copy(error) if isinstance(error, TellergateError) else error
