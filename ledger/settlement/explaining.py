"""Why a payout has arrived or not: the batch that carries it, its steps, and how late it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row, dict_row

from ledger.settlement.batch import FINAL_STATES, STEP_ORDER, BatchHistory, BatchState, PayoutExplanation, Step
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "settlement.sql")


@dataclass(frozen=True, slots=True)
class Batch:
    """Hold what is the same in all steps of a batch."""

    batch_id: str
    scheme: str
    currency: str
    amount_minor: int
    item_count: int


@dataclass(frozen=True, slots=True)
class BatchStanding:
    """Hold where a batch stands: its newest step by the bank's time."""

    batch_id: str
    scheme: str
    currency: str
    amount_minor: int
    item_count: int
    state: str
    occurred_at: datetime
    expected_at: datetime | None
    reason_code: str | None


def explain_payout(connection: Connection[Any], reference: str, now: datetime) -> PayoutExplanation:
    """Return the batches that carry a transaction, transfer or payout, with their steps and lateness, oldest batch first."""
    with connection.cursor(row_factory=class_row(Batch)) as cursor:
        batches = cursor.execute(_QUERIES["list_batches_of"], {"reference": reference}).fetchall()
    steps: dict[str, list[Step]] = {batch.batch_id: [] for batch in batches}
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(_QUERIES["list_states"], {"batch_ids": list(steps)}):
            steps[row.pop("batch_id")].append(Step.model_validate(row))
    histories = [explain_batch(batch, steps[batch.batch_id], now) for batch in batches]
    return PayoutExplanation(
        reference=reference, batches=tuple(sorted(histories, key=lambda item: (item.steps[0].occurred_at, item.batch_id)))
    )


def explain_batch(batch: Batch, steps: Sequence[Step], now: datetime) -> BatchHistory:
    """Put the steps in order and measure the lateness. A batch has one step at least. Pure."""
    ordered = tuple(sorted(steps, key=lambda step: (step.occurred_at, STEP_ORDER.index(step.state))))
    last = ordered[-1]
    promises = [step.expected_at for step in ordered if step.expected_at is not None]
    ended_at = last.occurred_at if last.state in FINAL_STATES else now
    return BatchHistory(
        batch_id=batch.batch_id,
        scheme=batch.scheme,
        currency=batch.currency,
        amount_minor=batch.amount_minor,
        item_count=batch.item_count,
        state=last.state,
        steps=ordered,
        promised_at=promises[0] if promises else None,
        expected_at=promises[-1] if promises else None,
        settled_at=last.occurred_at if last.state is BatchState.SETTLED else None,
        late_by=max(ended_at - promises[0], timedelta(0)) if promises else None,
    )


def list_standings(connection: Connection[Any], *, state: BatchState | None = None, limit: int = 100) -> list[BatchStanding]:
    """Return where the batches stand, those that changed last first."""
    with connection.cursor(row_factory=class_row(BatchStanding)) as cursor:
        return cursor.execute(_QUERIES["list_current"], {"state": state, "limit": limit}).fetchall()
