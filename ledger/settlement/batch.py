"""A settlement batch: what the bank settles together, and the steps of its life."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from domain.money import EXPONENTS

_MAX_AMOUNT_MINOR = 10**15
_FIRST_YEAR, _LAST_YEAR = 2000, 2199
_TIME = re.compile(r"\d{4}-\d\d-\d\dT", re.ASCII)
_REFERENCE = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$"
_WORD = r"^[a-z][a-z0-9_]{0,39}$"


class BatchState(StrEnum):
    """Name a step. Where the bank gives two of them one time, the later in this order counts."""

    EXPECTED = "expected"
    SUBMITTED = "submitted"
    DELAYED = "delayed"
    SETTLED = "settled"
    RETURNED = "returned"


STEP_ORDER: tuple[BatchState, ...] = tuple(BatchState)
FINAL_STATES = frozenset({BatchState.SETTLED, BatchState.RETURNED})


def _to_utc(moment: datetime) -> datetime:
    moment = moment.astimezone(UTC)
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError("a time between 2000 and 2199")
    return moment


def _require_text(value: object) -> object:
    # A bare number would be read as seconds since 1970.
    if not (isinstance(value, str) and _TIME.match(value)) and not isinstance(value, datetime):
        raise ValueError("a time such as 2026-01-31T12:00:00Z")
    return value


def _require_listed(currency: str) -> str:
    if currency not in EXPONENTS:
        raise ValueError("a currency of our ISO 4217 table")
    return currency


Moment = Annotated[AwareDatetime, BeforeValidator(_require_text), AfterValidator(_to_utc)]
Reference = Annotated[str, Field(pattern=_REFERENCE)]


class BatchRow(BaseModel):
    """Hold one line of a settlement file: a batch, one step of it, and some of what it carries.

    `amount_minor` and `item_count` are of the whole batch and the same in all its lines; `references` may come in parts.
    `expected_at` is when the bank says at this step that it settles.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_id: Reference
    scheme: Annotated[str, Field(pattern=_WORD)]
    state: BatchState
    occurred_at: Moment
    expected_at: Moment | None = None
    reason_code: Annotated[str, Field(pattern=_WORD)] | None = None
    currency: Annotated[str, AfterValidator(_require_listed)]
    amount_minor: Annotated[int, Field(strict=True, gt=0, le=_MAX_AMOUNT_MINOR)]
    item_count: Annotated[int, Field(strict=True, gt=0, le=10_000_000)]
    references: Annotated[tuple[Reference, ...], Field(max_length=100_000)] = ()


class Step(BaseModel):
    """Hold one step as recorded: `occurred_at` is the bank's time, `recorded_at` ours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: BatchState
    occurred_at: datetime
    expected_at: datetime | None
    reason_code: str | None
    recorded_at: datetime


class BatchHistory(BaseModel):
    """Hold a batch with its steps, oldest first by the bank's time.

    `promised_at` is the first time the bank named, `expected_at` the last. `late_by` is measured from the promise to the end
    of the batch, or to now while it has none; None where the bank promised nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_id: str
    scheme: str
    currency: str
    amount_minor: int
    item_count: int
    state: BatchState
    steps: tuple[Step, ...]
    promised_at: datetime | None
    expected_at: datetime | None
    settled_at: datetime | None
    late_by: timedelta | None

    @property
    def is_late(self) -> bool:
        """Say whether it is, or was, later than promised."""
        return self.late_by is not None and self.late_by > timedelta(0)


class PayoutExplanation(BaseModel):
    """Hold what is known about when a payout, transfer or transaction settles; no batch where the bank named none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: str
    batches: tuple[BatchHistory, ...]
