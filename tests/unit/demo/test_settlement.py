"""The demo's settlement batches agree with its payouts."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from demo.generator import DEFAULT_SEED, Dataset
from demo.settlement import Payout, make_settlement_rows
from demo.writing import render_row
from ledger.settlement.batch import BatchRow
from tests.unit.demo.conftest import AS_OF

END = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)
FIELDS = ("transaction_id", "amount_minor", "currency", "occurred_at", "settles_on")


@pytest.fixture(scope="module")
def payouts(dataset: Dataset) -> list[dict[str, Any]]:
    return [row for row in dataset.records["transactions"] if row["kind"] == "payout"]


@pytest.fixture(scope="module")
def rows(payouts: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    return make_settlement_rows([Payout(*(row[name] for name in FIELDS)) for row in payouts], seed=DEFAULT_SEED, as_of=END)


def test_the_same_payouts_give_the_same_bytes(payouts: list[dict[str, Any]], rows: tuple[dict[str, Any], ...]) -> None:
    again = make_settlement_rows([Payout(*(row[name] for name in FIELDS)) for row in payouts[::-1]], seed=DEFAULT_SEED, as_of=END)
    assert list(map(render_row, again)) == list(map(render_row, rows))


def test_every_row_is_one_that_the_door_takes(rows: tuple[dict[str, Any], ...]) -> None:
    for row in rows:
        BatchRow.model_validate_json(render_row(row))
        assert row["occurred_at"] < END


def test_each_payout_is_in_one_batch_that_settles_when_it_posts(
    payouts: list[dict[str, Any]], rows: tuple[dict[str, Any], ...]
) -> None:
    batches = {row["batch_id"]: row for row in rows}
    carried = Counter(reference for row in batches.values() for reference in row["references"])
    assert carried == Counter(row["transaction_id"] for row in payouts)
    settled = {reference: row["occurred_at"] for row in rows if row["state"] == "settled" for reference in row["references"]}
    assert settled == {row["transaction_id"]: row["posted_at"] for row in payouts if row["status"] == "posted"}
    for row in batches.values():
        assert row["amount_minor"] == sum(item["amount_minor"] for item in payouts if item["transaction_id"] in row["references"])
        assert row["item_count"] == len(row["references"])


def test_one_was_late_and_one_is_delayed(rows: tuple[dict[str, Any], ...]) -> None:
    delayed = [row for row in rows if row["state"] == "delayed"]
    assert sorted(row["reason_code"] for row in delayed) == ["scheme_closed", "scheme_maintenance"]
    for row in delayed:
        times = [other["occurred_at"] for other in rows if other["batch_id"] == row["batch_id"] and other["state"] == "settled"]
        assert bool(times) is (row["reason_code"] == "scheme_closed")
        assert all(moment > row["occurred_at"] for moment in times)
