"""Settlement files line by line, and how late a batch is."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.settlement.batch import BatchState, Step
from ledger.settlement.explaining import Batch, explain_batch
from ledger.settlement.importing import ReadSettlement, read_settlement
from ledger.settlement.reading import UnreadableSettlement

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
BATCH = Batch("sepa-061", "sepa", "EUR", 500, 2)
ROW: dict[str, Any] = {
    "batch_id": "sepa-061",
    "scheme": "sepa",
    "state": "submitted",
    "occurred_at": "2026-03-02T06:00:00+01:00",
    "currency": "EUR",
    "amount_minor": 500,
    "item_count": 2,
    "references": ["txn_1", "txn_2"],
}


def read(*rows: Any) -> ReadSettlement:
    content = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    return read_settlement(io.BytesIO(content.encode()), "jsonl", now=NOW)


def step(state: str, hours: int, expected: int | None = None) -> Step:
    return Step(
        state=BatchState(state),
        occurred_at=NOW + timedelta(hours=hours),
        expected_at=None if expected is None else NOW + timedelta(hours=expected),
        reason_code=None,
        recorded_at=NOW,
    )


def test_json_lines_and_csv_say_the_same() -> None:
    header = "batch_id;scheme;state;occurred_at;currency;amount_minor;item_count;references\n"
    cells = "sepa-061;sepa;submitted;2026-03-02T06:00:00+01:00;EUR;500;2;txn_1|txn_2\n"
    from_csv = read_settlement(io.BytesIO((header + cells).encode()), "csv", now=NOW)
    assert [row for _, row in from_csv.rows] == [row for _, row in read(ROW).rows]
    assert from_csv.rows[0][1].occurred_at == datetime(2026, 3, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount_minor": 0}, "amount_minor"), ({"amount_minor": -5}, "amount_minor"), ({"amount_minor": 5.0}, "amount_minor"),
        ({"amount_minor": "5"}, "amount_minor"), ({"amount_minor": 2**63}, "amount_minor"),
        ({"amount_minor": True}, "amount_minor"),
        ({"currency": "XXX"}, "currency"), ({"state": "done"}, "state"), ({"occurred_at": "2026-03-02T06:00:00"}, "occurred_at"),
        ({"occurred_at": 1772430000}, "occurred_at"), ({"occurred_at": "1772430000"}, "occurred_at"),
        ({"occurred_at": "1999-03-02T06:00:00Z"}, "occurred_at"), ({"occurred_at": "2026-03-09T06:00:00Z"}, "occurred_at"),
        ({"batch_id": "two words"}, "batch_id"), ({"references": ["Ana Ferreyra"]}, "references.0"),
        ({"item_count": 0}, "item_count"),
        ({"holder": "x"}, "holder"), ({"batch_id": None}, "batch_id"),
    ],
)  # fmt: skip
def test_a_bad_line_is_left_out_and_its_value_is_not_repeated(change: dict[str, Any], field: str) -> None:
    found = read(ROW, ROW | change)
    assert len(found.rows) == 1
    (line,) = found.quarantined
    assert line.line_number == 2
    assert f"field {field}" in line.reason
    assert "Ferreyra" not in line.reason


@pytest.mark.parametrize("content", [b"", b"\n", b"[1]", b"{", b"\xff\xfe", b'{"a":' * 5_000, b"batch_id\nx"])
@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_a_malformed_file_is_refused_whole(content: bytes, file_format: Any) -> None:
    with pytest.raises(UnreadableSettlement):
        read_settlement(io.BytesIO(content), file_format, now=NOW)


@pytest.mark.parametrize(
    ("steps", "state", "late"),
    [
        ([step("submitted", -9, expected=-2), step("settled", -2)], "settled", timedelta(0)),
        ([step("submitted", -9, expected=-2), step("settled", -1)], "settled", timedelta(hours=1)),
        ([step("submitted", -9, expected=-2)], "submitted", timedelta(hours=2)),
        ([step("submitted", -9, expected=2)], "submitted", timedelta(0)),
        ([step("submitted", -9, expected=-2), step("delayed", -3, expected=5)], "delayed", timedelta(hours=2)),
        ([step("submitted", -9, expected=-5), step("returned", -3)], "returned", timedelta(hours=2)),
        ([step("submitted", -9)], "submitted", None),
        ([step("settled", -2), step("submitted", -2, expected=-2)], "settled", timedelta(0)),
    ],
)
def test_lateness_is_measured_from_the_first_promise(steps: list[Step], state: str, late: timedelta | None) -> None:
    for order in (steps, steps[::-1]):
        history = explain_batch(BATCH, order, NOW)
        assert (history.state, history.late_by) == (state, late)
        assert history.is_late is bool(late)
        assert [item.occurred_at for item in history.steps] == sorted(item.occurred_at for item in steps)
        assert (history.settled_at is not None) == (state == "settled")
