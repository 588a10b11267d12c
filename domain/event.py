"""Something that happened: CloudEvents attributes and ours. The row commits with its effect."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from domain.canonical import digest_of
from domain.clock import render_time, require_utc


class Event(BaseModel):
    """Hold one event. `data` is canonical-JSON-safe (no floats) and holds no regulated value.

    Source: CloudEvents 1.0 attributes `id`, `source`, `type`, `subject`, `time`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: Annotated[str, Field(pattern=r"^evt_[0-9a-f]{32}$")]
    event_type: Annotated[str, Field(pattern=r"^[a-z]+(\.[a-z_]+)+$")]
    source: str
    subject: str
    tenant_id: str
    occurred_at: datetime
    recorded_at: datetime
    account_id: str | None = None
    idempotency_key: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    policy_decision: str | None = None
    policy_version: str | None = None
    model_score_ref: str | None = None
    trace_id: str | None = None
    data: dict[str, Any]

    @field_validator("occurred_at", "recorded_at")
    @classmethod
    def _utc(cls, moment: datetime) -> datetime:
        return require_utc(moment)

    def to_record(self) -> dict[str, Any]:
        """Return the exact mapping whose canonical bytes are the leaf of the log. Times in one fixed form."""
        record = self.model_dump(mode="json")
        record["occurred_at"] = render_time(self.occurred_at)
        record["recorded_at"] = render_time(self.recorded_at)
        return record

    def digest(self) -> str:
        """Return SHA-256 over the canonical record."""
        return digest_of(self.to_record())
