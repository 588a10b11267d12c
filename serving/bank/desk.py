"""The bank's desk in the jobs process: threads that relay, one that collects, and the door for the bank's callbacks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event as Flag
from threading import Thread

import structlog
from psycopg import Error as DatabaseError

from domain.clock import Clock
from domain.errors import NotFound, TellergateError
from serving.bank.acknowledging import Acknowledger, Effect
from serving.bank.callback import Callback, verify_callback
from serving.bank.relay import Collector, Relay
from serving.bank.wire import parse_acknowledgement

_LOG = structlog.get_logger("bank.desk")
_STOP_S = 3.0
# Between two rounds it is looked whether to stop.
_ROUND = 20


class CallbacksOff(NotFound):
    """Say that this installation takes no callbacks: no secret is set."""

    code = "callbacks_off"


@dataclass(frozen=True, slots=True)
class DeskDeps:
    """Hold the parts. `open_relay` makes a relay with an adapter of its own and says how to close it; a thread each.

    `collector` is there where the bank lays acknowledgements into a folder.
    """

    tenant_id: str
    adapter: str
    open_relay: Callable[[], tuple[Relay, Callable[[], None]]]
    collector: Collector | None
    acknowledgements: Acknowledger
    callback_secret: bytes | None
    clock: Clock
    senders: int = 2
    pause_s: float = 1.0


class BankDesk:
    """Relay and collect until stopped; a fault is said once while it lasts and stops nothing else."""

    def __init__(self, deps: DeskDeps) -> None:
        self._deps = deps
        self._stop = Flag()
        self._faults: dict[str, str] = {}
        self._threads = [
            Thread(target=self._send, args=(f"send.{n}",), name=f"bank-{n}", daemon=True) for n in range(deps.senders)
        ]
        if deps.collector is not None:
            self._threads.append(Thread(target=self._collect, args=(deps.collector,), name="bank-collect", daemon=True))

    @property
    def adapter(self) -> str:
        """Return how the bank is reached."""
        return self._deps.adapter

    @property
    def faults(self) -> frozenset[str]:
        """Return the codes of what fails now."""
        return frozenset(self._faults.values())

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop them; an exchange that is under way is either noted, or asked about at the next start."""
        self._stop.set()
        deadline = time.monotonic() + _STOP_S
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def take_callback(self, tenant_id: str, callback: Callback) -> Effect:
        """Take one acknowledgement that the bank pushed.

        Raises: CallbacksOff, CallbackRefused, UnreadableAcknowledgement, UnknownInstruction, DatabaseUnavailable.
        """
        secret, now = self._deps.callback_secret, self._deps.clock.now()
        if secret is None or tenant_id != self._deps.tenant_id:
            raise CallbacksOff("this installation takes no callbacks of a bank here")
        verify_callback(secret, callback, now=now)
        ack = parse_acknowledgement(callback.body)
        return self._deps.acknowledgements.take(tenant_id, ack, channel="callback", now=now)

    def _send(self, name: str) -> None:
        relay, close = self._deps.open_relay()
        try:
            while not self._stop.is_set():
                self._attempt(name, partial(self._relay_all, relay))
                self._stop.wait(self._deps.pause_s)
        finally:
            close()

    def _relay_all(self, relay: Relay) -> str | None:
        while not self._stop.is_set():
            report = relay.run_round(limit=_ROUND)
            if report.fault is not None or report.settled < _ROUND:
                return report.fault
        return None

    def _collect(self, collector: Collector) -> None:
        while not self._stop.is_set():
            self._attempt("collect", partial(_collection_of, collector))
            self._stop.wait(self._deps.pause_s)

    def _attempt(self, name: str, act: Callable[[], str | None]) -> None:
        try:
            code = act()
        except (TellergateError, DatabaseError) as error:
            code = error.code if isinstance(error, TellergateError) else type(error).__name__
        except Exception as error:  # noqa: BLE001 - the thread must outlive a fault of ours; it is logged and shown
            code = "internal_error"
            if self._faults.get(name) != code:
                _LOG.error("bank_desk_failed", act=name, exc_info=error)
        if code is None:
            self._faults.pop(name, None)
        elif self._faults.get(name) != code:
            self._faults[name] = code
            _LOG.warning("bank_fault", act=name, code=code)


def _collection_of(collector: Collector) -> None:
    collector.collect()
