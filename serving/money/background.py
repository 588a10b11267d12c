"""What the money process does unasked: decide forgotten proposals, finish allows, look at holds and reviews, sequence events."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from threading import Event as Flag
from threading import Thread

import structlog
from psycopg import Error as DatabaseError
from psycopg_pool import PoolTimeout

from domain.errors import TellergateError
from gates.features import fold_hours
from gates.incidents import watch_gate
from gates.review import expire_reviews
from gates.review_queue import escalate_due
from gates.submission import list_undecided, list_unexecuted_allows
from serving.money.service import MoneyService
from storage.events import list_waiting_tenants
from storage.unit_of_work import unit_of_work

_LOG = structlog.get_logger("money.background")
_INTERVAL_S = 1.0
# After a wake-up events gather for so long: one transaction and one signature for a batch of them, not for each.
_GATHER_S = 0.1
# Whoever submitted a proposal asks for its decision at once; only what he left is ours.
_GRACE = timedelta(seconds=2)
_LOOK_BACK = timedelta(hours=2)
_LOOK_BACK_AT_START = timedelta(days=30)
_BATCH = 100
# A hold waits for a change of the bank's records, and hours are rolled up long after they have passed.
_SLOW_INTERVAL_S = 30.0
_HOLD_BATCH = 50
_ANCHOR_INTERVAL_S = 10.0


class Round:
    """Try acts one after the other: a failure is logged once while it lasts, kept in `faults`, and stops no other act."""

    def __init__(self) -> None:
        self.faults: dict[str, str] = {}
        self._seen: dict[str, str] = {}

    def begin(self) -> None:
        """Start over; what failed last time is remembered so that it is not logged again."""
        self._seen, self.faults = self.faults, {}

    def attempt(self, name: str, act: Callable[[], object]) -> None:
        """Do one act."""
        try:
            act()
        except (TellergateError, DatabaseError, PoolTimeout) as error:
            self._fail(name, error.code if isinstance(error, TellergateError) else type(error).__name__, None)
        except Exception as error:  # noqa: BLE001 - the thread must outlive a fault of ours; it is logged and shown
            self._fail(name, "internal_error", error)

    def _fail(self, name: str, code: str, error: Exception | None) -> None:
        self.faults[name] = code
        if self._seen.get(name) != code:
            _LOG.error("background_failed", act=name, code=code, exc_info=error)


class Background:
    """Run in one thread: sequence when woken, sweep every second."""

    def __init__(self, service: MoneyService) -> None:
        self._service = service
        self._stop = Flag()
        self._thread = Thread(target=self._run, name="money-background", daemon=True)
        self._look_back = _LOOK_BACK_AT_START
        self._with_policy: set[str] = set()
        self._sequencing = Round()
        self._sweeping = Round()
        self._slow = Round()
        self._anchoring = Round()

    @property
    def faults(self) -> frozenset[str]:
        """Return the codes of what fails now."""
        rounds = (self._sequencing, self._sweeping, self._slow, self._anchoring)
        return frozenset(code for tried in rounds for code in tried.faults.values())

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; what it was doing is finished or rolled back."""
        self._stop.set()
        self._service.wake.set()
        self._thread.join(timeout=10)

    def wait_for_events(self) -> None:
        """Wait until there is something to sequence, a second at most."""
        if self._service.wake.wait(timeout=_INTERVAL_S):
            self._stop.wait(_GATHER_S)

    def sequence(self) -> None:
        """Give waiting events of all tenants their places."""
        self._sequencing.begin()
        self._sequencing.attempt("sequence", self._sequence_waiting)

    def install_policies(self) -> None:
        """Put the starter bundle in force for each tenant that has none; done once for each."""
        for tenant_id in self._service.deps.tenant_ids:
            if tenant_id not in self._with_policy:
                self._sweeping.attempt(f"policy.{tenant_id}", partial(self._install_policy, tenant_id))

    def sweep(self) -> None:
        """Finish what nobody asked for, tenant by tenant."""
        self._sweeping.begin()
        self.install_policies()
        for tenant_id in self._service.deps.tenant_ids:
            self._sweeping.attempt(f"decide.{tenant_id}", partial(self._decide_forgotten, tenant_id))
            self._sweeping.attempt(f"finish.{tenant_id}", partial(self._finish_allows, tenant_id))
            self._sweeping.attempt(f"expire.{tenant_id}", partial(self._expire_reviews, tenant_id))
            self._sweeping.attempt(f"escalate.{tenant_id}", partial(self._escalate_reviews, tenant_id))
        if not self._sweeping.faults:
            self._look_back = _LOOK_BACK

    def anchor_heads(self) -> None:
        """Write the heads of the logs outside of the database, tenant by tenant."""
        self._anchoring.begin()
        now = self._service.deps.clock.now()
        for tenant_id in self._service.deps.tenant_ids:
            self._anchoring.attempt(f"anchor.{tenant_id}", partial(self._service.log.anchor, tenant_id, now=now))
            self._anchoring.attempt(f"incidents.{tenant_id}", partial(self._watch_gate, tenant_id))

    def take_slow_round(self) -> None:
        """Look at what is held again and roll past hours up, tenant by tenant."""
        self._slow.begin()
        for tenant_id in self._service.deps.tenant_ids:
            self._slow.attempt(f"hold.{tenant_id}", partial(self._service.recheck_holds, tenant_id, limit=_HOLD_BATCH))
            self._slow.attempt(f"fold.{tenant_id}", partial(self._fold_hours, tenant_id))

    def _run(self) -> None:
        next_sweep = next_slow_round = next_anchoring = time.monotonic()
        while not self._stop.is_set():
            self._service.wake.clear()
            self.sequence()
            if time.monotonic() >= next_sweep:
                self.sweep()
                next_sweep = time.monotonic() + _INTERVAL_S
            if time.monotonic() >= next_slow_round:
                self.take_slow_round()
                next_slow_round = time.monotonic() + _SLOW_INTERVAL_S
            if time.monotonic() >= next_anchoring:
                self.anchor_heads()
                next_anchoring = time.monotonic() + _ANCHOR_INTERVAL_S
            self.wait_for_events()

    def _sequence_waiting(self) -> None:
        deps = self._service.deps
        with deps.gate_pool.connection() as connection:
            waiting = list_waiting_tenants(connection)
        for tenant_id in waiting:
            self._sequencing.attempt(f"sequence.{tenant_id}", partial(self._sequence_tenant, tenant_id))

    def _sequence_tenant(self, tenant_id: str) -> None:
        while self._service.log.sequence(tenant_id, now=self._service.deps.clock.now()).events:
            pass

    def _install_policy(self, tenant_id: str) -> None:
        self._service.install_starter_policy(tenant_id)
        self._with_policy.add(tenant_id)

    def _decide_forgotten(self, tenant_id: str) -> None:
        now = self._service.deps.clock.now()
        scope = self._service.scope(tenant_id)
        for proposal_id in list_undecided(scope, since=now - self._look_back, before=now - _GRACE, limit=_BATCH):
            self._sweeping.attempt(f"decide.{proposal_id}", partial(self._service.decide, tenant_id, proposal_id))

    def _finish_allows(self, tenant_id: str) -> None:
        since = self._service.deps.clock.now() - self._look_back
        for decision_id, _ in list_unexecuted_allows(self._service.scope(tenant_id), since=since, limit=_BATCH):
            self._sweeping.attempt(f"finish.{decision_id}", partial(self._service.execute_or_expire, tenant_id, decision_id))

    def _expire_reviews(self, tenant_id: str) -> None:
        deps = self._service.deps
        if expire_reviews(self._service.scope(tenant_id), deps.rules, now=deps.clock.now()):
            self._service.wake.set()

    def _watch_gate(self, tenant_id: str) -> None:
        now, scope = self._service.deps.clock.now(), self._service.scope(tenant_id)
        names = (self._sequencing.faults.get(f"sequence.{tenant_id}"), self._anchoring.faults.get(f"anchor.{tenant_id}"))
        with unit_of_work(scope.pool, scope.context) as connection:
            opened = watch_gate(connection, faults=frozenset(code for code in names if code), now=now)
        if opened:
            self._service.wake.set()

    def _escalate_reviews(self, tenant_id: str) -> None:
        deps = self._service.deps
        if escalate_due(self._service.scope(tenant_id), deps.rules, now=deps.clock.now()):
            self._service.wake.set()

    def _fold_hours(self, tenant_id: str) -> None:
        scope = self._service.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            fold_hours(connection, self._service.deps.clock.now())
