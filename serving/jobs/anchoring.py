"""The log's head to an address of the operator's choice: who receives it can refute a log that was cut or written anew.

The jobs process does it, because it alone may reach outside. A head that arrived twice says nothing else than once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread
from typing import Any, Protocol

import httpx
import structlog
from psycopg import Connection
from psycopg import Error as DatabaseError
from psycopg_pool import PoolTimeout

from domain.canonical import canonical_bytes
from domain.clock import Clock, render_time
from domain.errors import TellergateError
from gates.receipts.anchoring import AnchoredHead
from gates.receipts.log_store import append_anchor, find_anchored_size, find_last_checkpoint
from masking.guard import Surface

_LOG = structlog.get_logger("jobs.anchoring")
_PAUSE_S = 30.0
_STOP_S = 5.0
_TIMEOUT = httpx.Timeout(10.0)
_TARGET = "webhook"

Transact = Callable[[str], AbstractContextManager[Connection[Any]]]


class RequireClean(Protocol):
    """Let texts pass, or raise LeakBlocked (`serving.jobs.leaks.LeakDesk.require_clean`)."""

    def __call__(self, texts: Sequence[str], *, tenant_id: str, surface: Surface) -> None:
        """Look."""
        ...


@dataclass(frozen=True, slots=True)
class AnchorDeps:
    """Hold the parts. `transact` opens a unit of work of role jobs for a tenant; `require_clean` looks at what is sent."""

    url: str
    tenant_ids: tuple[str, ...]
    transact: Transact
    clock: Clock
    require_clean: RequireClean


class AnchorSender:
    """Send each tenant's head when it moved, until stopped. A fault is said once while it lasts; the next round tries again."""

    def __init__(self, deps: AnchorDeps) -> None:
        self._deps = deps
        self._stop = Flag()
        self._faults: dict[str, str] = {}
        self._thread = Thread(target=self._run, name="jobs-anchoring", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop it; a head that is on its way is sent again another time."""
        self._stop.set()
        self._thread.join(timeout=_STOP_S)

    def send_head(self, tenant_id: str) -> AnchoredHead | None:
        """Send the newest head, unless it arrived before. None when there was nothing to send.

        Raises: httpx.HTTPError, DatabaseUnavailable, LeakBlocked. Nothing is kept open meanwhile.
        """
        now = self._deps.clock.now()
        with self._deps.transact(tenant_id) as connection:
            checkpoint = find_last_checkpoint(connection)
            sent_size = find_anchored_size(connection, target=_TARGET)
        if checkpoint is None or checkpoint.tree_size <= sent_size:
            return None
        head = AnchoredHead(
            anchored_at=render_time(now), note=checkpoint.note, root=checkpoint.root.hex(), tree_size=checkpoint.tree_size
        )
        content = canonical_bytes(head) + b"\n"
        self._deps.require_clean([content.decode()], tenant_id=tenant_id, surface=Surface.WEBHOOK)
        with httpx.Client(timeout=_TIMEOUT, trust_env=False, follow_redirects=False) as client:
            answer = client.post(self._deps.url, content=content, headers={"Content-Type": "application/json"})
            # A redirect is no receipt.
            if not answer.is_success:
                raise httpx.HTTPStatusError(f"HTTP {answer.status_code}", request=answer.request, response=answer)
        with self._deps.transact(tenant_id) as connection:
            append_anchor(connection, target=_TARGET, tree_size=head.tree_size, root=checkpoint.root, anchored_at=now)
        return head

    def _run(self) -> None:
        while not self._stop.is_set():
            for tenant_id in self._deps.tenant_ids:
                self._try(tenant_id)
            self._stop.wait(_PAUSE_S)

    def _try(self, tenant_id: str) -> None:
        try:
            self.send_head(tenant_id)
        except (TellergateError, DatabaseError, PoolTimeout, httpx.HTTPError) as error:
            code = error.code if isinstance(error, TellergateError) else type(error).__name__
            if self._faults.get(tenant_id) != code:
                _LOG.warning("anchor_not_sent", tenant_id=tenant_id, code=code)
            self._faults[tenant_id] = code
        else:
            self._faults.pop(tenant_id, None)
