"""Which part is up? One look at each, at most a second; kept for two seconds so that many readers cost one look."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from starlette.concurrency import run_in_threadpool

from domain.errors import TellergateError
from serving.edge.deps import EdgeDeps

PartState = Literal["up", "starting", "off", "down"]
_KEEP_FOR = timedelta(seconds=2)
_MODEL_STATES: dict[str, PartState] = {"ready": "up", "up": "up", "ok": "up", "starting": "starting", "off": "off"}


@dataclass(frozen=True, slots=True)
class Health:
    """Hold the state of each part. `ready` means that people can be served, if need be by templates."""

    parts: dict[str, PartState]

    @property
    def ready(self) -> bool:
        """Say whether the console can work at all."""
        return self.parts["database"] == "up"

    @property
    def impaired(self) -> tuple[str, ...]:
        """Name the parts that are not up, worst first. A model that was switched off is no fault."""
        return tuple(name for name, state in self.parts.items() if state in {"down", "starting"})


@dataclass(slots=True)
class HealthReader:
    """Look at every part."""

    deps: EdgeDeps
    _kept: tuple[datetime, Health] | None = field(default=None)

    async def read(self) -> Health:
        """Return the state of every part."""
        now = self.deps.clock.now()
        if self._kept is not None and now - self._kept[0] < _KEEP_FOR:
            return self._kept[1]
        database, agents, money = await asyncio.gather(
            self._database_up(), self.deps.agents.read_health(), self.deps.money.is_up()
        )
        parts: dict[str, PartState] = {
            "database": "up" if database else "down",
            "money": "up" if money else "down",
            "agents": "up" if agents is not None else "down",
            "model": _MODEL_STATES.get((agents or {}).get("model", ""), "down"),
        }
        health = Health(parts)
        self._kept = (now, health)
        return health

    async def _database_up(self) -> bool:
        def look() -> bool:
            try:
                with self.deps.database.work(self.deps.options.default_tenant_id) as connection:
                    connection.execute("SELECT 1")
            except TellergateError:
                return False
            return True

        return await run_in_threadpool(look)
