"""What the registry's routes answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from serving.edge.api.policy_views import PolicyChange, RegisteredPolicy, RolledBack, ShadowTallyView, ShelvedPolicy


class _View(BaseModel):
    # Another process may be newer and say more; what it says beyond this is not shown.
    model_config = ConfigDict(frozen=True, extra="ignore")


class RegisteredArtifact(RegisteredPolicy):
    """A version as it was registered. `kind` and `name` say what it is a version of."""

    kind: str
    name: str


class ArtifactChange(PolicyChange):
    """What somebody asked for of a name."""

    kind: str
    name: str


class RegisteredName(_View):
    """Every version of one name and every change of it, the latest first."""

    kind: str
    name: str
    versions: tuple[ShelvedPolicy, ...]
    changes: tuple[PolicyChange, ...]


class RegistryView(_View):
    """Everything that is registered."""

    names: tuple[RegisteredName, ...]


class MoveView(_View):
    """One move of an alias. `approved_by` is the second person, `release` at set-up, or whoever stepped back alone."""

    alias: Literal["production", "canary", "shadow"]
    from_version: str | None
    to_version: str
    moved_by: str
    approved_by: str
    reason: str
    percent: int | None
    change_id: str | None
    moved_at: datetime


class ArtifactView(ShelvedPolicy):
    """One version: where its content is, what it was made from, how its name moved, and what a score said in the shadow."""

    kind: str
    name: str
    location: str
    lineage: dict[str, Any]
    moves: tuple[MoveView, ...]
    shadow: tuple[ShadowTallyView, ...]


class SteppedBack(RolledBack):
    """What was in force, what is now, and who did it."""

    kind: str
    name: str
