"""The last look before a text leaves: for the agents process, which has no key, and for what this process sends itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import FastAPI
from psycopg import Error as DatabaseError
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from domain.clock import Clock
from domain.errors import Forbidden, TellergateError
from masking.guard import LeakBlocked, LeakHit, Surface, find_leaks, place_of
from masking.number_index import NumberIndexes
from masking.vault import Transact
from storage.leaks import report_leak

_LOG = structlog.get_logger("jobs.leaks")
_MAX_TEXTS = 64
_MAX_CHARACTERS = 131_072


class LeakCheckIn(BaseModel):
    """Hold texts that are about to leave."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    surface: Surface
    texts: Annotated[list[Annotated[str, Field(max_length=_MAX_CHARACTERS)]], Field(max_length=_MAX_TEXTS)]


class LeakReportIn(BaseModel):
    """Hold what another process found in its own log: names alone."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    surface: Surface
    classes: Annotated[list[Annotated[str, Field(pattern=r"^[A-Z_]{2,16}$")]], Field(min_length=1, max_length=32)]
    place: Annotated[str, Field(pattern=r"^[A-Za-z_. ]{1,60}$")]


@dataclass(frozen=True, slots=True)
class LeakDesk:
    """Look for values in texts, and say so where there are any. `transact` opens a unit of work of role jobs for a tenant.

    Other processes may ask about `tenant_id` alone.
    """

    tenant_id: str
    indexes: NumberIndexes
    transact: Transact
    clock: Clock

    def check(self, texts: Sequence[str], *, tenant_id: str, surface: Surface) -> list[tuple[int, LeakHit]]:
        """Return what was found, each with the place of its text; then the incident is open.

        Raises: TenantKeyMissing, psycopg.Error.
        """
        index = self.indexes.of(tenant_id)
        hits = [(number, hit) for number, text in enumerate(texts) for hit in find_leaks(text, index=index)]
        if hits:
            self.report(
                tenant_id,
                surface=surface,
                classes=[hit.pii_class.value for _, hit in hits],
                place=place_of("\n".join(texts), index),
            )
        return hits

    def require_clean(self, texts: Sequence[str], *, tenant_id: str, surface: Surface) -> None:
        """Let texts of this process pass, or raise. Raises: LeakBlocked."""
        hits = self.check(texts, tenant_id=tenant_id, surface=surface)
        if hits:
            classes = tuple(sorted({hit.pii_class for _, hit in hits}))
            raise LeakBlocked(
                f"a text that should be masked holds {', '.join(classes)}: it was not sent",
                classes=classes,
                surface=surface,
                place=place_of("\n".join(texts), self.indexes.of(tenant_id)),
            )

    def require_tenant(self, tenant_id: str) -> None:
        """Refuse a tenant that this process does not serve. Raises: Forbidden."""
        if tenant_id != self.tenant_id:
            raise Forbidden("this process looks for another tenant", code="other_tenant")

    def report(self, tenant_id: str, *, surface: Surface, classes: Sequence[str], place: str) -> None:
        """Open the incident. Never raises: what was found is blocked whether or not it can be told."""
        try:
            with self.transact(tenant_id) as connection:
                report_leak(connection, surface=surface.value, classes=classes, place=place, now=self.clock.now())
        except (TellergateError, DatabaseError, PoolTimeout) as error:
            _LOG.error("leak_not_reported", tenant_id=tenant_id, surface=surface.value, error=type(error).__name__)


def add_leak_routes(app: FastAPI, desk: LeakDesk) -> None:
    """Add the routes that the agents process uses, which may neither look nor sign a context by itself."""

    @app.post("/v1/leaks/check")
    async def post_check(body: LeakCheckIn) -> dict[str, Any]:
        desk.require_tenant(body.tenant_id)
        hits = await run_in_threadpool(desk.check, body.texts, tenant_id=body.tenant_id, surface=body.surface)
        # No places: who asks may not learn which part of a text is somebody's number.
        return {"classes": sorted({hit.pii_class.value for _, hit in hits})}

    @app.post("/v1/leaks/reports", status_code=202)
    async def post_report(body: LeakReportIn) -> dict[str, str]:
        desk.require_tenant(body.tenant_id)
        await run_in_threadpool(desk.report, body.tenant_id, surface=body.surface, classes=body.classes, place=body.place)
        return {"state": "noted"}
