"""The last step before the log or a receipt leaves the edge: they hold tokens and ids, and nothing that a customer owns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

import psycopg
import structlog
from starlette.concurrency import run_in_threadpool

from domain.clock import Clock
from domain.errors import BrokenInvariant, TellergateError
from domain.ids import Prefix
from masking.guard import LeakBlocked, Surface, check_outgoing
from masking.number_index import NumberIndex
from serving.edge.database import EdgeDatabase
from serving.edge.money_client import MoneyClient
from storage.leaks import report_leak

_LOG = structlog.get_logger("edge.exports")
# Words that are a hash or an id of ours as a whole, and times: long runs of digits that mean nothing outside.
_PREFIXES = "|".join(get_args(Prefix))
_OURS = re.compile(
    rf"(?:{_PREFIXES})_[0-9a-f]{{32}}|(?:{_PREFIXES})_(?=[0-9a-f]*[a-f])[0-9a-f]{{12}}|(?=[0-9a-f]*[a-f])[0-9a-f]{{64}}"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z",
    re.ASCII,
)
_BETWEEN = "\n;\n"


class ExportBlocked(BrokenInvariant):
    """Say that something that was to be handed out holds a value. Nobody got it."""

    code = "leak_blocked"


@dataclass(frozen=True, slots=True)
class ExportGuard:
    """Look at what leaves. `index_of` returns a tenant's numbers, or None where only check digits are looked at."""

    database: EdgeDatabase
    clock: Clock
    index_of: Callable[[str], NumberIndex | None] = field(default=lambda _: None)

    def require_clean(self, document: object, *, tenant_id: str, name: str) -> None:
        """Let a JSON document pass, or open an incident and raise. Numbers in it are amounts and times: texts are looked at.

        Raises: ExportBlocked, TenantKeyMissing, psycopg.Error.
        """
        text = _BETWEEN.join(map(_without_ours, _texts_of(document)))
        try:
            check_outgoing(text, index=self.index_of(tenant_id), surface=Surface.EXPORT)
        except LeakBlocked as error:
            self._report(tenant_id, error)
            classes = ", ".join(error.classes)
            raise ExportBlocked(f"the {name} holds {classes}, so it was not handed out: an incident is open") from error

    async def find_receipt(self, money: MoneyClient, *, tenant_id: str, decision_id: str) -> bytes | None:
        """Return a receipt that may leave, None while it is pending. Raises: as `require_clean` and the client."""
        receipt = await money.find_receipt(tenant_id, decision_id)
        if receipt is not None:
            await run_in_threadpool(self.require_clean, json.loads(receipt), tenant_id=tenant_id, name="receipt")
        return receipt

    def _report(self, tenant_id: str, error: LeakBlocked) -> None:
        try:
            with self.database.work(tenant_id) as connection:
                report_leak(
                    connection, surface=error.surface.value, classes=error.classes, place=error.place, now=self.clock.now()
                )
        except (TellergateError, psycopg.Error) as fault:
            _LOG.error("leak_not_reported", tenant_id=tenant_id, error=type(fault).__name__)


def _texts_of(value: object) -> Iterator[str]:
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one


def _without_ours(text: str) -> str:
    """Leave out words that are ours as a whole; a value beside one or inside a longer word stays to be looked at."""
    if _OURS.fullmatch(text):
        return ""
    return " ".join("" if _OURS.fullmatch(word) else word for word in text.split(" "))
