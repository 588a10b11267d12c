"""Keep a process's number index and masking cache current: the log says when a record came in or a subject was erased."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import structlog

from domain.errors import TellergateError
from masking.number_index import NumberIndexes
from masking.vault import Transact
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "leak_watch.sql")
_LOG = structlog.get_logger("leak_watch")
_PAUSE_S = 2.0
_STOP_S = 5.0
_EVENT_TYPES = ("record.ingested", "subject.erased")


@dataclass(frozen=True, slots=True)
class WatchDeps:
    """Hold the parts. `transact` opens a unit of work of a role that reads the log (edge or jobs) for a tenant.

    `on_change` are told the tenant whose records changed.
    """

    tenant_ids: tuple[str, ...]
    transact: Transact
    indexes: NumberIndexes
    on_change: Sequence[Callable[[str], None]] = field(default=())


class RecordWatch:
    """Look at the log until stopped. A fault is said once while it lasts; the next round tries again from the same place."""

    def __init__(self, deps: WatchDeps) -> None:
        self._deps = deps
        self._stop = Flag()
        self._seen: dict[str, int] = {}
        self._faults: dict[str, str] = {}
        self._thread = Thread(target=self._run, name="leak-watch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop it."""
        self._stop.set()
        self._thread.join(timeout=_STOP_S)

    def look(self, tenant_id: str) -> bool:
        """Take up what the log says since the last look. Returns whether records changed; the first look always says so.

        Raises: DatabaseUnavailable, psycopg.Error, TenantKeyMissing: then nothing counts as seen.
        """
        seen = self._seen.get(tenant_id)
        with self._deps.transact(tenant_id) as connection:
            asked = {"after_position": -1 if seen is None else seen, "event_types": list(_EVENT_TYPES), "is_first": seen is None}
            row = connection.execute(_QUERIES["look_for_changes"], asked).fetchone()
        assert row is not None
        last, changed = int(row[0]), seen is None or bool(row[1])
        if changed:
            # The index before the texts: what is masked from now on is masked with the new one.
            self._deps.indexes.refresh(tenant_id)
            for tell in self._deps.on_change:
                tell(tenant_id)
        self._seen[tenant_id] = last
        return changed

    def _run(self) -> None:
        while not self._stop.is_set():
            for tenant_id in self._deps.tenant_ids:
                self._try(tenant_id)
            self._stop.wait(_PAUSE_S)

    def _try(self, tenant_id: str) -> None:
        try:
            self.look(tenant_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, a watch that ended would leave the index old for ever
            code = error.code if isinstance(error, TellergateError) else type(error).__name__
            if self._faults.get(tenant_id) != code:
                _LOG.warning("records_not_watched", tenant_id=tenant_id, code=code)
            self._faults[tenant_id] = code
        else:
            self._faults.pop(tenant_id, None)
