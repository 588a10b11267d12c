"""A row holds what was known at its moment: recounted naively, and untouched by what comes later."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from demo.generator import DEFAULT_SEED, generate
from demo.writing import write_dataset
from gates.facts import CustomerFacts
from gates.score.baselines import TooLittleHistory
from tests.unit.training.conftest import SEED
from training.baselines import make_baseline_candidates
from training.records import Records, Row, UnreadableRecords, read_folder
from training.rows import PAYMENT_FACTS, TrainingRow, make_payment_rows
from training.score import DEFAULT_AS_OF, make_candidates
from training.split import NothingToLearn

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NAMES = [name for name, _ in PAYMENT_FACTS]


def _recount(records: Records, row: TrainingRow) -> dict[str, int]:
    """Count with plain loops over everything, window by window."""
    held = records.rows
    now = row.occurred_at
    own = next(item for item in held["transactions"] if item["transaction_id"] == row.transaction_id)
    customer_of = {item["account_id"]: item["customer_id"] for item in held["accounts"]}
    customer_id = customer_of[own["account_id"]]
    customer = next(item for item in held["customers"] if item["customer_id"] == customer_id)
    payee = next(item for item in held["beneficiaries"] if item["beneficiary_id"] == own["beneficiary_id"])
    of_transaction = {item["transaction_id"]: customer_of[item["account_id"]] for item in held["transactions"]}
    before = [
        item
        for item in held["transactions"]
        if item["kind"] == "transfer_out" and (item["occurred_at"], item["transaction_id"]) < (now, row.transaction_id)
    ]
    by_him = [item for item in before if customer_of[item["account_id"]] == customer_id]
    to_him = [item for item in before if item["beneficiary_id"] == own["beneficiary_id"]]
    logins = [item for item in held["logins"] if item["customer_id"] == customer_id]

    def within(moment: datetime, window: timedelta) -> bool:
        return now - window < moment <= now

    def count(items: list[Row], window: timedelta) -> int:
        return sum(within(item["occurred_at"], window) for item in items)

    def total(items: list[Row], window: timedelta) -> int:
        same = [item for item in items if item["currency"] == own["currency"]]
        return sum(item["amount_minor"] for item in same if within(item["occurred_at"], window))

    foreign = [item for item in logins if item["outcome"] == "success" and item["country"] != customer["country"]]
    return {
        "customer.age_days": (now - customer["opened_at"]).days,
        "customer.failed_logins_7d_count": count([item for item in logins if item["outcome"] == "failed"], 7 * DAY),
        "customer.foreign_logins_7d_count": count(foreign, 7 * DAY),
        "customer.challenged_logins_24h_count": count([item for item in logins if item["outcome"] == "challenged"], DAY),
        "customer.new_devices_24h_count": sum(
            within(item["first_seen_at"], DAY) for item in held["devices"] if item["customer_id"] == customer_id
        ),
        "customer.disputes_365d_count": sum(
            within(item["opened_at"], 365 * DAY)
            for item in held["disputes"]
            if of_transaction[item["transaction_id"]] == customer_id
        ),
        "beneficiary.age_hours": (now - payee["added_at"]) // HOUR,
        "beneficiary.paid_count": len(to_him),
        "beneficiary.max_paid_minor": max(
            (item["amount_minor"] for item in to_him if item["currency"] == own["currency"]), default=0
        ),
        "velocity.customer_1h_count": count(by_him, HOUR),
        "velocity.customer_24h_count": count(by_him, DAY),
        "velocity.customer_24h_minor": total(by_him, DAY),
        "velocity.customer_7d_count": count(by_him, 7 * DAY),
        "velocity.customer_7d_minor": total(by_him, 7 * DAY),
        "velocity.beneficiary_24h_count": count(to_him, DAY),
        "velocity.beneficiary_24h_minor": total(to_him, DAY),
    }


def test_rows_are_what_a_naive_count_gives(records: Records, rows: tuple[TrainingRow, ...]) -> None:
    frauds = {label.subject_id for label in records.labels if label.label == "fraud"}
    chosen = Random("rows").sample(rows, 10) + [row for row in rows if row.transaction_id in frauds][::12]
    assert len(chosen) >= 18
    for row in chosen:
        assert dict(zip(NAMES, row.facts, strict=True)) == _recount(records, row)


def test_what_happens_later_changes_no_row(records: Records, rows: tuple[TrainingRow, ...]) -> None:
    moment = rows[len(rows) // 2].occurred_at
    times = {"logins": "occurred_at", "devices": "first_seen_at", "transactions": "occurred_at", "disputes": "opened_at"}
    cut = {
        kind: tuple(row for row in held if kind not in times or row[times[kind]] <= moment) for kind, held in records.rows.items()
    }
    known = {row["transaction_id"] for row in cut["transactions"]}
    cut["disputes"] = tuple(row for row in cut["disputes"] if row["transaction_id"] in known)
    assert make_payment_rows(Records("cut", "", cut)) == tuple(row for row in rows if row.occurred_at <= moment)


def test_facts_have_the_names_of_the_gate() -> None:
    for name in NAMES:
        group, _, fact = name.partition(".")
        if group == "customer":
            assert fact in CustomerFacts.__dataclass_fields__
    assert len(set(NAMES)) == len({reason for _, reason in PAYMENT_FACTS}) == len(NAMES)


def test_files_give_what_the_demo_gives(records: Records, tmp_path: Path) -> None:
    write_dataset(generate(seed=DEFAULT_SEED, as_of=DEFAULT_AS_OF), tmp_path)
    read = read_folder(tmp_path)
    assert read.sha256 == records.sha256
    # In any order of their lines.
    for kind in ("transactions", "labels"):
        path = tmp_path.joinpath(f"{kind}.jsonl")
        lines = path.read_bytes().splitlines(keepends=True)
        Random(kind).shuffle(lines)
        path.write_bytes(b"".join(lines))
    shuffled = read_folder(tmp_path)
    assert shuffled.rows == records.rows
    same = [item.sha256 for item in make_candidates(records, seed=SEED, as_of=DEFAULT_AS_OF)]
    assert [item.sha256 for item in make_candidates(shuffled, seed=SEED, as_of=DEFAULT_AS_OF)] == same


def test_unreadable_records_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRecords, match=r"customers\.jsonl"):
        read_folder(tmp_path)
    for kind in ("customers", "accounts", "beneficiaries", "devices", "logins", "transactions", "disputes", "labels"):
        tmp_path.joinpath(f"{kind}.jsonl").write_bytes(b"")
    tmp_path.joinpath("logins.jsonl").write_bytes(b'{"login_id":"lgn_1","occurred_at":"soon"}\n')
    with pytest.raises(UnreadableRecords, match="logins, line 1"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("kind", "line", "said"),
    [
        ("accounts", b'{"account_id":"a","customer_id":"c","opened_at":"2026-01-01T00:00:00Z"}', "accounts, a: its customer_id"),
        ("accounts", b'{"account_id":"a","opened_at":"2026-01-01T00:00:00Z"}', "accounts, line 1: lacks customer_id"),
        ("customers", b'{"customer_id":"c","country":"DE","opened_at":"2026-01-01T00:00:00"}', "customers, line 1: NaiveTime"),
        ("customers", b"[1]", "customers, line 1"),
        (
            "transactions",
            (
                b'{"transaction_id":"t","account_id":"a","kind":"fee","status":"posted","amount_minor":1.5,"currency":"EUR",'
                b'"occurred_at":"2026-01-01T00:00:00Z"}'
            ),
            "transactions, line 1: lacks an amount",
        ),
    ],
)
def test_torn_records_are_refused_with_their_place(kind: str, line: bytes, said: str, tmp_path: Path) -> None:
    for name in ("customers", "accounts", "beneficiaries", "devices", "logins", "transactions", "disputes", "labels"):
        tmp_path.joinpath(f"{name}.jsonl").write_bytes(line + b"\n" if name == kind else b"")
    with pytest.raises(UnreadableRecords, match=said):
        read_folder(tmp_path)


def test_no_records_teach_nothing(tmp_path: Path) -> None:
    for name in ("customers", "accounts", "beneficiaries", "devices", "logins", "transactions", "disputes", "labels"):
        tmp_path.joinpath(f"{name}.jsonl").write_bytes(b"")
    with pytest.raises(NothingToLearn):
        make_candidates(read_folder(tmp_path), seed=1, as_of=DEFAULT_AS_OF)
    with pytest.raises(TooLittleHistory):
        make_baseline_candidates(read_folder(tmp_path), as_of=DEFAULT_AS_OF)
