"""An incident: a case that says that something of ours went wrong, who looks after it, and where its runbook stands."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, field_validator

from domain.case import Case, CaseKind
from domain.clock import require_utc


class Acknowledgement(BaseModel):
    """Hold a named person's word that he looks after an incident. `note` holds no regulated value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    acknowledged_by: str
    acknowledged_at: datetime
    note: str

    @field_validator("acknowledged_at")
    @classmethod
    def _utc(cls, moment: datetime) -> datetime:
        return require_utc(moment)


class Incident(BaseModel):
    """Hold a case of an incident kind with its acknowledgement, None while nobody looks after it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: Case
    acknowledgement: Acknowledgement | None
    runbook: str


def runbook_of(kind: CaseKind) -> str:
    """Return the runbook's path in the repository."""
    return f"docs/runbooks/{kind.value}.md"
