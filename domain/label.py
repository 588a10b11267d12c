"""What later turned out about a record: its truth, and from when on it may be used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

LABEL_DELAY = timedelta(days=7)
"""So long after a thing happened its truth is known at the earliest: the time that a report or an investigation takes."""

LabelSubject = Literal["transaction", "dispute", "customer", "account", "card", "merchant", "beneficiary"]
LabelValue = Literal["fraud", "legitimate"]
LabelSource = Literal["investigation", "chargeback", "customer_report", "review"]
SUBJECTS: tuple[LabelSubject, ...] = get_args(LabelSubject)


@dataclass(frozen=True, slots=True)
class Label:
    """Hold one label. From its own `known_at` on, a later one of the same subject takes its place. A fraud has a `pattern`."""

    label_id: str
    subject_kind: LabelSubject
    subject_id: str
    label: LabelValue
    source: LabelSource
    occurred_at: datetime
    known_at: datetime
    pattern: str | None = None
