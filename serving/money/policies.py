"""Routes of the policy's life: register, ask, approve, refuse, roll back, read."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from psycopg import Connection
from pydantic import Field

from domain.errors import InvalidInput
from gates.policy.bundle import InvalidBundle, PolicyBundle, load_bundle_content
from gates.policy.lifecycle import (
    Activation,
    approve_activation,
    refuse_activation,
    request_activation,
    roll_back_activation,
    show_policy,
)
from gates.policy.listing import Shelved, list_shelf
from gates.policy.registering import register_policy
from gates.replay.drift import Drift, measure_drift
from gates.shadow import tally_shadow
from serving.money.bodies import ActingBody, TenantQuery
from serving.money.service import MoneyService
from storage.registry import Move
from storage.registry_changes import Change
from storage.unit_of_work import unit_of_work


class RegisterBody(ActingBody):
    """Hold a whole bundle: `{"manifest": …, "files": {…}}`. It is checked before it is kept."""

    content: dict[str, Any]


class ActivateBody(ActingBody):
    """Hold what a registered bundle is to become. `percent` goes with a canary only."""

    target: Literal["shadow", "canary", "champion"]
    percent: Annotated[int, Field(ge=1, le=99)] | None = None
    reason: Annotated[str, Field(max_length=2000)] = ""


class ReasonBody(ActingBody):
    """Hold why what stood before is put back."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]


def add_policy_routes(app: FastAPI, service: MoneyService) -> None:
    """Add the routes."""
    _add_reading(app, service)
    shelf = service.deps.rules.shelf

    @app.post("/v1/policies")
    def post_policy(body: RegisterBody) -> dict[str, Any]:
        try:
            bundle = load_bundle_content(body.content)
        except InvalidBundle as error:
            raise InvalidInput(error.message, code=error.code) from None
        artifact = register_policy(service.scope(body.tenant_id), bundle, body.session_token, now=service.deps.clock.now())
        service.wake.set()
        return {"sha256": artifact.sha256, "version": artifact.version, "state": artifact.state}

    @app.post("/v1/policies/{sha256}/activate")
    def post_activate(sha256: str, body: ActivateBody) -> dict[str, Any]:
        now = service.deps.clock.now()
        wanted = Activation(body.session_token, sha256, target=body.target, percent=body.percent, reason=body.reason)
        scope = service.scope(body.tenant_id)
        change = request_activation(scope, shelf, wanted, now=now, measure_drift=partial(_measure, now=now))
        service.wake.set()
        return render_change(change)

    @app.post("/v1/policy-changes/{change_id}/approve")
    def post_approve(change_id: str, body: ActingBody) -> dict[str, Any]:
        scope = service.scope(body.tenant_id)
        done = approve_activation(scope, shelf, change_id, body.session_token, now=service.deps.clock.now())
        service.wake.set()
        return render_change(done)

    @app.post("/v1/policy-changes/{change_id}/refuse")
    def post_refuse(change_id: str, body: ActingBody) -> dict[str, Any]:
        scope = service.scope(body.tenant_id)
        refused = refuse_activation(scope, change_id, body.session_token, now=service.deps.clock.now())
        service.wake.set()
        return render_change(refused)

    @app.post("/v1/policy-rollback")
    def post_roll_back(body: ReasonBody) -> dict[str, Any]:
        scope = service.scope(body.tenant_id)
        move = roll_back_activation(scope, body.session_token, reason=body.reason, now=service.deps.clock.now())
        service.wake.set()
        return render_move(move)


def _add_reading(app: FastAPI, service: MoneyService) -> None:
    @app.get("/v1/policies")
    def get_policies(tenant_id: TenantQuery) -> dict[str, Any]:
        policies, changes = list_shelf(service.scope(tenant_id))
        return {
            "policies": [render_shelved(one) for one in policies],
            "changes": [render_change(change) for change in changes],
        }

    @app.get("/v1/policies/{sha256}")
    def get_policy(sha256: str, tenant_id: TenantQuery) -> dict[str, Any]:
        scope = service.scope(tenant_id)
        bundle = show_policy(scope, service.deps.rules.shelf, sha256)
        with unit_of_work(scope.pool, scope.context) as connection:
            tallies = tally_shadow(connection, bundle.sha256)
        return {**_render_bundle(bundle), "shadow": [asdict(tally) for tally in tallies]}


def _measure(connection: Connection[Any], bundle: PolicyBundle, *, now: datetime) -> Drift:
    return measure_drift(connection, bundle, now=now)


def _render_bundle(bundle: PolicyBundle) -> dict[str, Any]:
    return {
        "sha256": bundle.sha256,
        "version": f"{bundle.manifest.name}@{bundle.manifest.version}",
        "content": {"manifest": dict(bundle.content["manifest"]), "files": dict(bundle.content["files"])},
        "rules": [
            {"policy_id": rule.policy_id, "outcome": rule.outcome.value, "reason": rule.reason, "approvals": rule.approvals}
            for rule in bundle.rules.values()
        ],
    }


def render_shelved(shelved: Shelved) -> dict[str, Any]:
    """Return a registered version as routes answer it."""
    artifact = shelved.artifact
    return {
        "sha256": artifact.sha256,
        "version": artifact.version,
        "state": artifact.state,
        "aliases": list(shelved.aliases),
        "percent": shelved.percent,
        "registered_by": artifact.lineage.get("registered_by"),
        "created_at": artifact.created_at,
    }


def render_move(move: Move) -> dict[str, Any]:
    """Return a move back as routes answer it."""
    return {"from_version": move.from_version, "to_version": move.to_version, "moved_by": move.moved_by, "reason": move.reason}


def render_change(change: Change) -> dict[str, Any]:
    """Return a change as routes answer it."""
    return {name: value for name, value in asdict(change).items() if name not in {"tenant_id", "kind", "name"}}
