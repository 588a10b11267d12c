"""What the policy's routes answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from domain.decision import Outcome


class _View(BaseModel):
    # Another process may be newer and say more; what it says beyond this is not shown.
    model_config = ConfigDict(frozen=True, extra="ignore")


class RegisteredPolicy(_View):
    """A bundle as it was registered. `sha256` is its address."""

    sha256: str
    version: str
    state: Literal["candidate", "shadow", "canary", "champion", "retired"]


class ShelvedPolicy(RegisteredPolicy):
    """A registered bundle. `aliases`: production is in force, canary decides `percent` of all acts, shadow has no effect."""

    aliases: tuple[Literal["production", "canary", "shadow"], ...]
    percent: int | None
    registered_by: str | None
    created_at: datetime


class DriftView(_View):
    """How many of `decisions` recent ones would come out otherwise, in thousandths; of `undecidable` ones nothing is known."""

    permille: int
    decisions: int
    undecidable: int


class PolicyChange(_View):
    """What somebody asked for, and who agreed. `base_version` is what was in force when it was asked for."""

    change_id: str
    version: str
    sha256: str
    base_version: str | None
    target: Literal["shadow", "canary", "champion"]
    percent: int | None
    requested_by: str
    requested_at: datetime
    reason: str
    drift: DriftView | None
    state: Literal["open", "done", "refused", "expired"]
    decided_by: str | None
    decided_at: datetime | None


class PolicyList(_View):
    """Every registered bundle and every change, the latest first."""

    policies: tuple[ShelvedPolicy, ...]
    changes: tuple[PolicyChange, ...]


class RuleView(_View):
    """One rule: what it says when it matches, and how many people may lift it."""

    policy_id: str
    outcome: Outcome
    reason: str
    approvals: int


class ShadowTallyView(_View):
    """How often the shadow said `shadow` where `decided` was decided."""

    decided: Outcome
    shadow: Outcome
    decisions: int


class BundleContent(_View):
    """A whole bundle: its manifest and the text of each file."""

    manifest: dict[str, Any]
    files: dict[str, str]


class PolicyView(_View):
    """One bundle with its rules, its content and what its shadow said."""

    sha256: str
    version: str
    content: BundleContent
    rules: tuple[RuleView, ...]
    shadow: tuple[ShadowTallyView, ...]


class RolledBack(_View):
    """What was in force, what is now, and who did it."""

    from_version: str
    to_version: str
    moved_by: str
    reason: str
