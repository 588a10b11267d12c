"""The registry: every versioned artifact, what is in force, and the acts of the people who change that."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from serving.edge.access import UsedServices
from serving.edge.api.policies import ActivateBody, Editor, Reader, ReasonBody
from serving.edge.api.registry_views import ArtifactChange, ArtifactView, RegisteredArtifact, RegistryView, SteppedBack

router = APIRouter(tags=["registry"])
# Nothing else goes into a path of ours.
_Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
_Address = Annotated[str, Field(pattern=r"^[0-9a-f]{12,64}$")]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RegisterModelBody(_Body):
    """A score model or baselines as training wrote them, and what they were made from."""

    content: dict[str, Any]
    lineage: dict[str, Any] = {}


class RegisterFileBody(_Body):
    """The hash of a file or folder as `registry propose` measures it, and where it will lie. The file stays where it is."""

    kind: _Word
    name: _Word
    label: Annotated[str, Field(min_length=1, max_length=200)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    location: Annotated[str, Field(max_length=200)]
    lineage: dict[str, Any] = {}


@router.get("/registry", operation_id="listRegistry")
async def list_registry(caller: Reader, services: UsedServices) -> RegistryView:
    """List every registered version by kind and name with its aliases, and the changes that people asked for."""
    money = services.deps.money
    return money.read(RegistryView, await money.ask("GET", "/v1/registry", tenant_id=caller.tenant_id))


@router.get("/registry/{kind}/{name}/{sha256}", operation_id="getArtifact")
async def get_artifact(kind: _Word, name: _Word, sha256: _Address, caller: Reader, services: UsedServices) -> ArtifactView:
    """Return one version with what it was made from and every move of its name."""
    money, path = services.deps.money, f"/v1/registry/{kind}/{name}/{sha256}"
    return money.read(ArtifactView, await money.ask("GET", path, tenant_id=caller.tenant_id))


@router.post("/registry/models", operation_id="registerModel", status_code=201)
async def post_model(body: RegisterModelBody, caller: Editor, services: UsedServices) -> RegisteredArtifact:
    """Register a score model or baselines as a candidate. The same content again is the same version."""
    return RegisteredArtifact.model_validate(await _post(services, caller, "/v1/registry/models", body.model_dump()))


@router.post("/registry/files", operation_id="registerFile", status_code=201)
async def post_file(body: RegisterFileBody, caller: Editor, services: UsedServices) -> RegisteredArtifact:
    """Register a prompt, model or list by its hash as a candidate, so that it can be approved before it is put in place."""
    return RegisteredArtifact.model_validate(await _post(services, caller, "/v1/registry/files", body.model_dump()))


@router.post("/registry/{kind}/{name}/{sha256}/activate", operation_id="activateArtifact", status_code=202)
async def post_activate(
    kind: _Word, name: _Word, sha256: _Address, body: ActivateBody, caller: Editor, services: UsedServices
) -> ArtifactChange:
    """Ask for a version to be put in force. A shadow starts at once; everything else waits for a second administrator."""
    path = f"/v1/registry/{kind}/{name}/{sha256}/activate"
    return ArtifactChange.model_validate(await _post(services, caller, path, body.model_dump()))


@router.post("/registry/{kind}/{name}/rollback", operation_id="rollBackArtifact")
async def post_roll_back(kind: _Word, name: _Word, body: ReasonBody, caller: Editor, services: UsedServices) -> SteppedBack:
    """Put the version that stood directly before back in force. One administrator is enough."""
    return SteppedBack.model_validate(await _post(services, caller, f"/v1/registry/{kind}/{name}/rollback", body.model_dump()))


async def _post(services: UsedServices, caller: Editor, path: str, body: dict[str, Any]) -> Any:
    payload = {"session_token": caller.token, **body}
    return await services.deps.money.ask("POST", path, tenant_id=caller.tenant_id, json=payload)
