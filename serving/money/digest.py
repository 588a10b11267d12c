"""Route of the daily digest."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from fastapi import FastAPI

from gates.digest import read_digest
from serving.money.bodies import TenantQuery
from serving.money.service import MoneyService
from storage.unit_of_work import unit_of_work


def add_digest_routes(app: FastAPI, service: MoneyService) -> None:
    """Add the route. Without a day: today, as far as it is."""

    @app.get("/v1/digest")
    def get_digest(tenant_id: TenantQuery, day: date | None = None) -> dict[str, Any]:
        scope = service.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            return asdict(read_digest(connection, day or service.deps.clock.now().date()))
