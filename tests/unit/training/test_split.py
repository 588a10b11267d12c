"""The future stays out of the past: rows in order, a week of silence before the split, labels only from when they were known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.label import LABEL_DELAY, Label
from tests.unit.training.conftest import END, SEED
from training.records import Records
from training.rows import TrainingRow
from training.score import DEFAULT_AS_OF, make_candidates
from training.split import NothingToLearn, UnsortedRows, find_frauds, pick_split, split_by_time

START = datetime(2026, 1, 1, tzinfo=UTC)
SPLIT = START + timedelta(days=100)
AS_OF = START + timedelta(days=200)


def _row(number: int, day: int) -> TrainingRow:
    return TrainingRow(f"txn_{number}", START + timedelta(days=day), (number,))


def _label(number: int, day: int, known_day: int, *, label: str = "fraud") -> Label:
    return Label(
        label_id=f"lbl_{number}_{known_day}",
        subject_kind="transaction",
        subject_id=f"txn_{number}",
        label="fraud" if label == "fraud" else "legitimate",
        source="investigation",
        occurred_at=START + timedelta(days=day),
        known_at=START + timedelta(days=known_day),
        pattern="card_testing" if label == "fraud" else None,
    )


ROWS = tuple(_row(number, number * 10) for number in range(20))
LABELS = (_label(2, 20, 30), _label(5, 50, 101), _label(12, 120, 130), _label(15, 150, 201))


def test_each_side_knows_what_was_known_then() -> None:
    split = split_by_time(ROWS, LABELS, split_at=SPLIT, as_of=AS_OF)
    # The row of day 100 - 7 < 100 is too young; that of day 90 is old enough.
    assert [row.transaction_id for row in split.train.rows] == [f"txn_{number}" for number in range(10)]
    assert [row.transaction_id for row in split.validation.rows] == [f"txn_{number}" for number in range(10, 20)]
    # Number 5 was a fraud all along, but nobody knew at the split; number 15 is not known yet.
    assert [row.transaction_id for row, fraud in zip(split.train.rows, split.train.is_fraud, strict=True) if fraud] == ["txn_2"]
    known = [row.transaction_id for row, fraud in zip(split.validation.rows, split.validation.is_fraud, strict=True) if fraud]
    assert known == ["txn_12"]


def test_the_week_before_each_end_is_left_out() -> None:
    young = (_row(90, 94), _row(91, 99), _row(92, 194))
    rows = tuple(sorted((*ROWS, *young), key=lambda row: row.occurred_at))
    split = split_by_time(rows, LABELS, split_at=SPLIT, as_of=AS_OF)
    assert not {"txn_90", "txn_91"} & {row.transaction_id for row in (*split.train.rows, *split.validation.rows)}
    assert "txn_92" not in {row.transaction_id for row in split.validation.rows}
    edge = split_by_time((*ROWS[:10], _row(93, 93), *ROWS[10:]), LABELS, split_at=SPLIT, as_of=AS_OF)
    assert edge.train.rows[-1].transaction_id == "txn_93"


@given(order=st.permutations(range(8)))
def test_rows_out_of_order_are_refused(order: list[int]) -> None:
    rows = [ROWS[place] for place in order] + list(ROWS[8:])
    if order == sorted(order):
        split_by_time(rows, LABELS, split_at=SPLIT, as_of=AS_OF)
        return
    with pytest.raises(UnsortedRows):
        split_by_time(rows, LABELS, split_at=SPLIT, as_of=AS_OF)


def test_the_last_word_counts_from_when_it_was_spoken() -> None:
    labels = (_label(2, 20, 30), _label(2, 20, 60, label="legitimate"))
    assert find_frauds(labels[::-1], known_by=START + timedelta(days=59)) == {"txn_2"}
    assert find_frauds(labels, known_by=START + timedelta(days=60)) == frozenset()
    assert find_frauds(labels, known_by=START + timedelta(days=29)) == frozenset()
    other = replace(labels[0], subject_kind="dispute")
    assert find_frauds([other], known_by=AS_OF) == frozenset()


def test_a_side_without_frauds_teaches_nothing() -> None:
    with pytest.raises(NothingToLearn, match="0 frauds in 10 rows before"):
        split_by_time(ROWS, LABELS[2:], split_at=SPLIT, as_of=AS_OF)
    with pytest.raises(NothingToLearn, match="after"):
        split_by_time(ROWS, LABELS[:2], split_at=SPLIT, as_of=AS_OF)


def test_what_became_known_after_the_split_changes_no_artifact(records: Records, rows: tuple[TrainingRow, ...]) -> None:
    split_at = pick_split(rows, train_permille=650)
    early = [row for row in records.rows["labels"] if row["known_at"] <= split_at]
    late = [row for row in records.rows["labels"] if row["known_at"] > split_at]
    assert early
    assert late
    flipped = [{**row, "label": "fraud", "pattern": "mule_fan_out"} if row["occurred_at"] < split_at else row for row in late]
    other = Records(records.source, records.sha256, {**records.rows, "labels": tuple(early + flipped)})
    same = make_candidates(records, seed=SEED, as_of=DEFAULT_AS_OF)
    changed = make_candidates(other, seed=SEED, as_of=DEFAULT_AS_OF)
    assert [item.sha256 for item in changed] == [item.sha256 for item in same]
    # What was known before it does.
    fewer = Records(records.source, records.sha256, {**records.rows, "labels": tuple(early[: len(early) // 2] + late)})
    assert [item.sha256 for item in make_candidates(fewer, seed=SEED, as_of=DEFAULT_AS_OF)] != [item.sha256 for item in same]


def test_the_demo_split_leaves_a_week(records: Records, rows: tuple[TrainingRow, ...]) -> None:
    split_at = pick_split(rows, train_permille=650)
    split = split_by_time(rows, records.labels, split_at=split_at, as_of=END)
    assert split.train.rows[-1].occurred_at + LABEL_DELAY <= split_at <= split.validation.rows[0].occurred_at
    assert split.train.frauds >= 40
    assert split.validation.frauds >= 20
