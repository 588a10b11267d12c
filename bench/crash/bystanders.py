"""Who else is at work during the storm: readers of the trial balance, the upkeep of the ledger, the sequencer of the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import IsolationLevel

from bench.crash import planted
from bench.crash.place import QUERIES, Place, ServerGone
from bench.crash.workload import HOLD_LIFETIME
from domain.errors import Unavailable
from gates.receipts.sequencing import sequence_events
from gates.receipts.signing_key import ensure_signer
from ledger.upkeep import expire_holds, roll_up
from storage.pools import open_pool

_PAUSE_S = 0.03
_UPKEEP_PAUSE_S = 0.1
_EXPIRY_LIMIT = 100
# The clock of the upkeep goes ahead by nearly the life of a hold, so that holds fall due while others want to post them.
_CLOCK_AHEAD = HOLD_LIFETIME - timedelta(seconds=1)
_SEQUENCE_PAUSE_S = 0.2
_SEQUENCE_LIMIT = 300


@dataclass(slots=True)
class Bystanders:
    """Run beside the callers till `leave`. `findings` are broken promises that they saw."""

    place: Place
    admin_dsn: str
    fault: planted.Fault | None
    reads: int = 0
    roll_ups: int = 0
    events_placed: int = 0
    findings: list[str] = field(default_factory=list)
    _leaving: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arrive(self, *, readers: int = 2) -> None:
        """Start."""
        works: list[Callable[[], None]] = [*[self._read] * readers, self._place_events, self._keep_up]
        self._threads = [threading.Thread(target=self._keep_on, args=(work,), daemon=True) for work in works]
        for thread in self._threads:
            thread.start()

    def leave(self) -> None:
        """End, each after what it is doing."""
        self._leaving.set()
        for thread in self._threads:
            thread.join()

    def _keep_on(self, work: Callable[[], None]) -> None:
        while not self._leaving.is_set():
            try:
                work()
            except (psycopg.OperationalError, Unavailable, ServerGone):
                time.sleep(_PAUSE_S)
            except Exception as error:  # noqa: BLE001 - whatever a bystander meets beside a lost connection is a finding
                self._find(f"{getattr(work, '__name__', 'bystander')}: {type(error).__name__}: {error}")
                return

    def _find(self, finding: str) -> None:
        with self._lock:
            self.findings.append(finding)

    def _read(self) -> None:
        with self.place.connect_patiently("auditor") as auditor:
            auditor.autocommit = False
            auditor.isolation_level = IsolationLevel.REPEATABLE_READ
            context_until = time.monotonic() + 60
            while not self._leaving.is_set() and time.monotonic() < context_until:
                first = auditor.execute(QUERIES["find_trial_balance"]).fetchone()
                overdrawn = auditor.execute(QUERIES["count_overdrawn"]).fetchone()
                again = auditor.execute(QUERIES["find_trial_balance"]).fetchone()
                auditor.rollback()
                with self._lock:
                    self.reads += 2
                if first is None or first[0] != 0 or first != again:
                    self._find(f"trial balance in a snapshot: out by {first and first[0]}, then {again and again[0]}")
                if overdrawn is None or overdrawn[0] != 0:
                    self._find(f"accounts beyond their limit in a snapshot: {overdrawn and overdrawn[0]}")
                time.sleep(_PAUSE_S)

    def _keep_up(self) -> None:
        """Fold the tails in and let holds expire, as the jobs process does but more often."""
        if self.fault == "tails_twice":
            with psycopg.connect(self.admin_dsn, autocommit=True) as admin:
                planted.fold_twice(admin, self.place.tenant_id)
        with self.place.connect_patiently("jobs") as jobs:
            context_until = time.monotonic() + 60
            while not self._leaving.is_set() and time.monotonic() < context_until:
                roll_up(jobs)
                expire_holds(jobs, now=datetime.now(UTC) + _CLOCK_AHEAD, limit=_EXPIRY_LIMIT)
                self.roll_ups += 1
                self._leaving.wait(_UPKEEP_PAUSE_S)

    def _place_events(self) -> None:
        signer = ensure_signer(Path(self.place.secrets_dir) / "storm_log.key")
        pool = open_pool(self.place.dsn("gate"), name="storm-sequencer", max_size=1)
        try:
            while not self._leaving.is_set():
                now = datetime.now(UTC)
                placed = sequence_events(pool, self.place.mint("gate"), signer, now=now, limit=_SEQUENCE_LIMIT)
                self.events_placed += placed.events
                self._leaving.wait(_SEQUENCE_PAUSE_S)
        finally:
            pool.close()
