"""What the jobs process does for the ledger unasked: fold in, expire, make parts ahead of time, check. And a check when asked.

Two threads, so that a long check keeps no hold waiting. Each duty has its interval; the clock is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from threading import Event as Flag
from threading import Lock, Thread
from typing import Annotated, Any

import structlog
from fastapi import FastAPI
from psycopg import Connection, errors
from psycopg import Error as DatabaseError
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, ConfigDict, Field

from domain.clock import Clock, render_time
from domain.errors import TellergateError, Unavailable
from ledger.checks import CheckReport, Incident, find_last_check, open_incidents, run_check
from ledger.upkeep import ensure_partitions, expire_holds, roll_up

_LOG = structlog.get_logger("jobs.ledger")
_PAUSE_S = 1.0
_STOP_S = 5.0
_ROLL_UP_EVERY = timedelta(seconds=1)
_EXPIRE_EVERY = timedelta(seconds=10)
_PARTITIONS_EVERY = timedelta(hours=1)
_CHECK_EVERY = timedelta(minutes=1)
WHOLE_CHECK_EVERY = timedelta(days=1)
_EXPIRE_BATCH = 1_000

Transact = Callable[[str], AbstractContextManager[Connection[Any]]]


class CheckDisturbed(Unavailable):
    """Say that a check met another one: nothing was noted, ask again."""

    code = "check_disturbed"


@dataclass(frozen=True, slots=True)
class KeeperDeps:
    """Hold the parts. `transact` opens a unit of work of role jobs for a tenant, `snapshot` one at REPEATABLE READ."""

    tenant_ids: tuple[str, ...]
    transact: Transact
    snapshot: Transact
    clock: Clock
    stopwatch_ns: Callable[[], int]


@dataclass(slots=True)
class _Duty:
    name: str
    every: timedelta
    act: Callable[[str, datetime], object]
    due_at: datetime | None = None


class LedgerKeeper:
    """Do each duty for each tenant when it is due, until stopped. A fault is said once while it lasts and stops nothing else."""

    def __init__(self, deps: KeeperDeps) -> None:
        self._deps = deps
        self._stop = Flag()
        self._one_check = Lock()
        self._faults: dict[str, str] = {}
        self._upkeep = [
            _Duty("partitions", _PARTITIONS_EVERY, self._ensure_partitions),
            _Duty("roll_up", _ROLL_UP_EVERY, self._roll_up),
            _Duty("expire", _EXPIRE_EVERY, self._expire),
        ]
        self._checks = [_Duty("check", _CHECK_EVERY, self._check_when_due)]
        self._threads = [
            Thread(target=self._run, args=(self._upkeep,), name="ledger-upkeep", daemon=True),
            Thread(target=self._run, args=(self._checks,), name="ledger-checks", daemon=True),
        ]

    @property
    def faults(self) -> dict[str, str]:
        """Return the codes of what fails now, by duty and tenant."""
        return dict(self._faults)

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop them; what was under way is finished or rolled back."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=_STOP_S)

    def keep_up(self) -> None:
        """Do the upkeep that is due."""
        self._do(self._upkeep)

    def keep_checking(self) -> None:
        """Do the checks that are due: of what is recent, and once a day of everything."""
        self._do(self._checks)

    def check(self, tenant_id: str, *, whole: bool) -> tuple[CheckReport, list[Incident]]:
        """Check one tenant now and open incidents for what was found. Raises: CheckDisturbed, DatabaseUnavailable."""
        now = self._deps.clock.now()
        try:
            with self._one_check:
                with self._deps.snapshot(tenant_id) as connection:
                    report = run_check(connection, whole=whole, now=now, stopwatch_ns=self._deps.stopwatch_ns)
                if not report.findings:
                    return report, []
                with self._deps.transact(tenant_id) as connection:
                    incidents = open_incidents(connection, report)
        except errors.SerializationFailure as error:
            raise CheckDisturbed("another check was noted meanwhile: ask again") from error
        for incident in incidents:
            _LOG.error("ledger_incident", case_id=incident.case_id, subject=incident.subject, stopped=incident.stopped)
        return report, incidents

    def _run(self, duties: Sequence[_Duty]) -> None:
        while not self._stop.is_set():
            self._do(duties)
            self._stop.wait(_PAUSE_S)

    def _do(self, duties: Sequence[_Duty]) -> None:
        for duty in duties:
            now = self._deps.clock.now()
            # A clock that was set back makes everything due, once.
            if duty.due_at is not None and duty.due_at - duty.every <= now < duty.due_at:
                continue
            duty.due_at = now + duty.every
            for tenant_id in self._deps.tenant_ids:
                self._attempt(f"{duty.name}.{tenant_id}", partial(duty.act, tenant_id, now))

    def _attempt(self, name: str, act: Callable[[], object]) -> None:
        try:
            act()
        except (TellergateError, DatabaseError, PoolTimeout) as error:
            self._fail(name, error.code if isinstance(error, TellergateError) else type(error).__name__, None)
        except Exception as error:  # noqa: BLE001 - the thread must outlive a fault of ours; it is logged and shown
            self._fail(name, "internal_error", error)
        else:
            self._faults.pop(name, None)

    def _fail(self, name: str, code: str, error: Exception | None) -> None:
        if self._faults.get(name) != code:
            self._faults[name] = code
            _LOG.error("ledger_duty_failed", act=name, code=code, exc_info=error)

    def _roll_up(self, tenant_id: str, _: datetime) -> None:
        with self._deps.transact(tenant_id) as connection:
            roll_up(connection)

    def _expire(self, tenant_id: str, now: datetime) -> None:
        released = _EXPIRE_BATCH
        while released == _EXPIRE_BATCH and not self._stop.is_set():
            with self._deps.transact(tenant_id) as connection:
                released = expire_holds(connection, now=now, limit=_EXPIRE_BATCH)

    def _ensure_partitions(self, tenant_id: str, now: datetime) -> None:
        with self._deps.transact(tenant_id) as connection:
            made = ensure_partitions(connection, now=now)
        if made:
            _LOG.info("ledger_parts_made", parts=made)

    def _check_when_due(self, tenant_id: str, now: datetime) -> None:
        with self._deps.transact(tenant_id) as connection:
            last = find_last_check(connection)
        self.check(tenant_id, whole=last is None or now - last.whole_at >= WHOLE_CHECK_EVERY)


class CheckIn(BaseModel):
    """Ask for a check of a tenant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant_id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]


def add_ledger_routes(app: FastAPI, keeper: LedgerKeeper) -> None:
    """Add the routes to the jobs process's application."""

    @app.post("/v1/ledger/checks")
    def post_check(body: CheckIn) -> dict[str, Any]:
        report, incidents = keeper.check(body.tenant_id, whole=True)
        return _report_as_json(report, incidents)


def _report_as_json(report: CheckReport, incidents: Sequence[Incident]) -> dict[str, Any]:
    cases = {incident.subject: incident for incident in incidents}
    return {
        "checked_at": render_time(report.checked_at),
        "transfers": report.transfers,
        "accounts": report.accounts,
        "took_ms": report.took_ms,
        "findings": [
            {
                "finding": one.finding.value,
                "subject": one.subject,
                "transfer_id": None if one.transfer_id is None else f"tfr_{one.transfer_id.hex}",
                "case_id": cases[one.subject].case_id,
                "stopped": list(cases[one.subject].stopped),
                "detail": one.detail,
            }
            for one in report.findings
        ],
    }
