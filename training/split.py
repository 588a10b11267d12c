"""Before and after: what may be learned from, what is measured on, and only the truth that was known by then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from domain.clock import render_time
from domain.errors import BrokenInvariant, InvalidInput
from domain.label import LABEL_DELAY, Label
from training.rows import TrainingRow


class UnsortedRows(BrokenInvariant):
    """Say that rows are not in order of time: a split of them would let the future into the past."""

    code = "unsorted_rows"


class NothingToLearn(InvalidInput):
    """Say that a side of the split has no fraud or nothing calm."""

    code = "nothing_to_learn"


@dataclass(frozen=True, slots=True)
class Side:
    """Hold rows and, for each, whether it was a fraud as far as was known at `known_by`."""

    rows: tuple[TrainingRow, ...]
    is_fraud: tuple[bool, ...]
    known_by: datetime

    @property
    def frauds(self) -> int:
        """Count the frauds."""
        return sum(self.is_fraud)


@dataclass(frozen=True, slots=True)
class Split:
    """Hold both sides. What happened in the week before `split_at` is in none: its truth was not known then."""

    split_at: datetime
    train: Side
    validation: Side


def split_by_time(rows: Sequence[TrainingRow], labels: Iterable[Label], *, split_at: datetime, as_of: datetime) -> Split:
    """Split rows in order of time. The training side knows the labels that were known at `split_at`, the other those at `as_of`.

    Raises: UnsortedRows, NothingToLearn.
    """
    if any(later.occurred_at < earlier.occurred_at for earlier, later in pairwise(rows)):
        raise UnsortedRows("training rows must be in order of time")
    held = tuple(labels)
    train = _side([row for row in rows if row.occurred_at + LABEL_DELAY <= split_at], held, split_at)
    after = [row for row in rows if split_at <= row.occurred_at and row.occurred_at + LABEL_DELAY <= as_of]
    validation = _side(after, held, as_of)
    for name, side in (("before", train), ("after", validation)):
        if not 0 < side.frauds < len(side.rows):
            raise NothingToLearn(f"{side.frauds} frauds in {len(side.rows)} rows {name} {render_time(split_at)}")
    return Split(split_at=split_at, train=train, validation=validation)


def pick_split(rows: Sequence[TrainingRow], *, train_permille: int) -> datetime:
    """Return the midnight (UTC) nearest before so many thousandths of the time that the rows span. Raises: NothingToLearn."""
    if not rows:
        raise NothingToLearn("no payment to a payee in these records")
    first, last = rows[0].occurred_at, rows[-1].occurred_at
    moment = first + timedelta(microseconds=(last - first) // timedelta(microseconds=1) * train_permille // 1_000)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def find_frauds(labels: Iterable[Label], *, known_by: datetime) -> frozenset[str]:
    """Return the transactions that were known as frauds by then. Of several labels the last one known counts."""
    latest: dict[str, Label] = {}
    for label in sorted(labels, key=lambda label: (label.known_at, label.label_id)):
        if label.subject_kind == "transaction" and label.known_at <= known_by:
            latest[label.subject_id] = label
    return frozenset(subject for subject, label in latest.items() if label.label == "fraud")


def _side(rows: Sequence[TrainingRow], labels: Sequence[Label], known_by: datetime) -> Side:
    frauds = find_frauds(labels, known_by=known_by)
    return Side(tuple(rows), tuple(row.transaction_id in frauds for row in rows), known_by)
