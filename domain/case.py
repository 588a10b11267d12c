"""An open question that waits for a person: what it is about, how long it has waited, how it ended."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from domain.clock import require_utc


class CaseKind(StrEnum):
    """Name what kind of question it is."""

    RECONCILIATION_BREAK = "reconciliation_break"
    INSTRUCTION_FAILED = "instruction_failed"
    LEDGER_INCIDENT = "ledger_incident"
    GATE_UNDECIDED = "gate_undecided"
    """The gate could not decide several acts in a short time."""
    GATE_FROZEN = "gate_frozen"
    """A person stopped executions."""
    ARTIFACT_UNAPPROVED = "artifact_unapproved"
    """A policy or a scorecard that nobody approved was refused."""
    LOG_TAMPERED = "log_tampered"
    """The stored log is not the one that was signed or anchored."""
    LEAK_INCIDENT = "leak_incident"
    """A regulated value came where it must not be."""
    BACKUP_FAILED = "backup_failed"
    """A backup could not be made, or does not serve."""


INCIDENT_KINDS = frozenset(CaseKind) - {CaseKind.RECONCILIATION_BREAK, CaseKind.INSTRUCTION_FAILED}
"""Kinds that say that something of ours went wrong. Each has its runbook in `docs/runbooks`."""


class CaseState(StrEnum):
    """Name where a case stands. Closed is the end: what comes up again is another case."""

    OPEN = "open"
    CLOSED = "closed"


class CaseOutcome(StrEnum):
    """Name how a case ended."""

    CORRECTED = "corrected"
    """A posting, a reversal or a new instruction mended it."""
    EXPLAINED = "explained"
    """There was no error; the note says why."""
    WRITTEN_OFF = "written_off"
    """The difference is accepted as lost."""
    DUPLICATE = "duplicate"
    """Another case is about the same."""
    MATCHED_LATER = "matched_later"
    """A later file or posting settled it, with no person."""
    SUPERSEDED = "superseded"
    """The same thing stands open for another reason now, in a case of its own."""


SYSTEM_OUTCOMES = frozenset({CaseOutcome.MATCHED_LATER, CaseOutcome.SUPERSEDED})
"""Outcomes that only a program may give, and no person."""
SYSTEM_CLOSER = "system"


class Case(BaseModel):
    """Hold one case. `subject` says what it is about; `facts` are canonical-JSON-safe and hold no regulated value.

    `opened_for` is the cause: there is never a second case of its kind for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_id: Annotated[str, Field(pattern=r"^cas_[0-9a-f]{32}$")]
    tenant_id: str
    kind: CaseKind
    subject: str
    opened_for: str
    state: CaseState
    amount_minor: int | None
    currency: str | None
    facts: dict[str, Any]
    opened_at: datetime
    due_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    outcome: CaseOutcome | None
    note: str

    @field_validator("opened_at", "due_at", "closed_at")
    @classmethod
    def _utc(cls, moment: datetime | None) -> datetime | None:
        return None if moment is None else require_utc(moment)
