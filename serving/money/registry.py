"""Routes of the registry: every kind of artifact, in one place. Changes are approved and refused with the policies' routes."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import Field

from domain.errors import InvalidInput, SetupError
from gates.policy.lifecycle import Activation, request_activation, roll_back_activation
from gates.policy.listing import list_registry, show_artifact
from gates.policy.registering import FileArtifact, register_file, register_model
from gates.registry import POLICY_KIND, SCORE_KIND
from gates.score.baselines import Baselines, read_baselines
from gates.score.model import ScoreModel, parse_model
from gates.shadow import tally_shadow_scores
from serving.money.bodies import ActingBody, TenantQuery
from serving.money.policies import ActivateBody, ReasonBody, render_change, render_move, render_shelved
from serving.money.service import MoneyService
from storage.registry import Artifact, Move
from storage.registry_start import FoundVersion
from storage.unit_of_work import unit_of_work

_Kind = Annotated[str, Field(max_length=40)]


class RegisterModelBody(ActingBody):
    """Hold a score model or baselines as training wrote them, and what they were made from."""

    content: dict[str, Any]
    lineage: dict[str, Any]


class RegisterFileBody(ActingBody):
    """Hold the hash of a file or folder as its owner measured it, and where it will lie."""

    kind: _Kind
    name: _Kind
    label: Annotated[str, Field(max_length=200)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    location: Annotated[str, Field(max_length=200)]
    lineage: dict[str, Any]


def add_registry_routes(app: FastAPI, service: MoneyService) -> None:
    """Add the routes."""
    _add_reading(app, service)

    @app.post("/v1/registry/models")
    def post_model(body: RegisterModelBody) -> dict[str, Any]:
        model, scope = _read_model(body.content), service.scope(body.tenant_id)
        artifact = register_model(scope, model, body.session_token, lineage=body.lineage, now=service.deps.clock.now())
        return _registered(service, artifact)

    @app.post("/v1/registry/files")
    def post_file(body: RegisterFileBody) -> dict[str, Any]:
        found = FoundVersion(body.label, body.sha256, body.location, body.lineage)
        wanted, scope = FileArtifact(body.kind, body.name, found), service.scope(body.tenant_id)
        return _registered(service, register_file(scope, wanted, body.session_token, now=service.deps.clock.now()))

    @app.post("/v1/registry/{kind}/{name}/{sha256}/activate")
    def post_activate(kind: str, name: str, sha256: str, body: ActivateBody) -> dict[str, Any]:
        if kind == POLICY_KIND:
            raise InvalidInput("a policy is activated by its own route, which measures its drift", code="invalid_request")
        wanted = Activation(
            body.session_token, sha256, target=body.target, percent=body.percent, reason=body.reason, kind=kind, name=name
        )
        shelf, scope = service.deps.rules.shelf, service.scope(body.tenant_id)
        change = request_activation(scope, shelf, wanted, now=service.deps.clock.now())
        service.wake.set()
        return {"kind": kind, "name": name, **render_change(change)}

    @app.post("/v1/registry/{kind}/{name}/rollback")
    def post_roll_back(kind: str, name: str, body: ReasonBody) -> dict[str, Any]:
        now, scope = service.deps.clock.now(), service.scope(body.tenant_id)
        move = roll_back_activation(scope, body.session_token, reason=body.reason, now=now, kind=kind, name=name)
        service.wake.set()
        return {"kind": kind, "name": name, **render_move(move)}


def _add_reading(app: FastAPI, service: MoneyService) -> None:
    @app.get("/v1/registry")
    def get_registry(tenant_id: TenantQuery) -> dict[str, Any]:
        held = list_registry(service.scope(tenant_id))
        return {
            "names": [
                {
                    "kind": kind,
                    "name": name,
                    "versions": [render_shelved(one) for one in shelved],
                    "changes": [render_change(change) for change in changes],
                }
                for (kind, name), (shelved, changes) in held.items()
            ]
        }

    @app.get("/v1/registry/{kind}/{name}/{sha256}")
    def get_artifact(kind: str, name: str, sha256: str, tenant_id: TenantQuery) -> dict[str, Any]:
        scope = service.scope(tenant_id)
        shelved, moves = show_artifact(scope, kind=kind, name=name, sha256=sha256)
        artifact = shelved.artifact
        with unit_of_work(scope.pool, scope.context) as connection:
            tallies = tally_shadow_scores(connection, artifact.sha256) if kind == SCORE_KIND else []
        return {
            "kind": kind,
            "name": name,
            **render_shelved(shelved),
            "location": artifact.location,
            "lineage": dict(artifact.lineage),
            "moves": [_render_whole_move(move) for move in moves],
            "shadow": [{"decided": one.decided, "shadow": one.shadow, "decisions": one.decisions} for one in tallies],
        }


def _read_model(content: dict[str, Any]) -> ScoreModel | Baselines:
    try:
        if str(content.get("format")).startswith("tellergate-baselines/"):
            return read_baselines(json.dumps(content))
        return parse_model(content, source="content")
    except SetupError as error:
        raise InvalidInput(error.message, code=error.code) from None


def _registered(service: MoneyService, artifact: Artifact) -> dict[str, Any]:
    service.wake.set()
    names = ("kind", "name", "version", "sha256", "state")
    return {name: getattr(artifact, name) for name in names}


def _render_whole_move(move: Move) -> dict[str, Any]:
    return {
        "alias": move.alias,
        **render_move(move),
        "approved_by": move.approved_by,
        "percent": move.percent,
        "change_id": move.change_id,
        "moved_at": move.moved_at,
    }
