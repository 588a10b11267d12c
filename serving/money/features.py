"""Routes of features: a customer's, with how long reading them takes, and the rebuild."""

from __future__ import annotations

from dataclasses import asdict
from time import perf_counter_ns
from typing import Any

from fastapi import FastAPI

from gates.feature_upkeep import read_customer_features, rebuild_tenant_features
from serving.money.bodies import ActingBody, TenantQuery
from serving.money.service import MoneyService

_READS = 40


def add_feature_routes(app: FastAPI, service: MoneyService) -> None:
    """Add the routes."""

    @app.get("/v1/features/{customer_id}")
    def get_features(customer_id: str, tenant_id: TenantQuery) -> dict[str, Any]:
        scope, now = service.scope(tenant_id), service.deps.clock.now()
        counts = read_customer_features(scope, customer_id, now=now)
        taken_ns = []
        for _ in range(_READS):
            started = perf_counter_ns()
            read_customer_features(scope, customer_id, now=now)
            taken_ns.append(perf_counter_ns() - started)
        taken_ns.sort()
        return {
            "customer_id": customer_id,
            "items": [asdict(count) for count in counts],
            "reads": _READS,
            "read_p50_us": taken_ns[_READS // 2] // 1000,
            "read_p95_us": taken_ns[_READS * 95 // 100] // 1000,
        }

    @app.post("/v1/features/rebuild")
    def post_rebuild(body: ActingBody) -> dict[str, Any]:
        rebuilt = rebuild_tenant_features(service.scope(body.tenant_id), body.session_token, now=service.deps.clock.now())
        service.wake.set()
        return {**asdict(rebuilt), "equal": rebuilt.hash_before == rebuilt.hash_after}
