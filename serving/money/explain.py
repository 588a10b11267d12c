"""The route that tells a decision's whole story. For people only: nothing of it goes to a model."""

from __future__ import annotations

from fastapi import FastAPI

from gates.explanation import Explanation, explain_decision
from serving.money.bodies import TenantQuery
from serving.money.service import MoneyService
from storage.unit_of_work import unit_of_work


def add_explain_routes(app: FastAPI, service: MoneyService) -> None:
    """Add the route."""

    @app.get("/v1/decisions/{decision_id}/explanation")
    def get_explanation(decision_id: str, tenant_id: TenantQuery) -> Explanation:
        scope = service.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            return explain_decision(connection, decision_id, shelf=service.deps.rules.shelf)
