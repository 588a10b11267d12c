"""What the manifest claims is recomputed here from the records alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from demo.declines import RESPONSE_CODES, STEP_OF_CODE
from demo.fees import RETURNED_DEBIT_FEE_MINOR, WITHDRAWAL_FEE_MINOR, fx_fee_minor
from demo.generator import Dataset
from tests.unit.demo.conftest import AS_OF

Row = Mapping[str, Any]
END = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)


@pytest.fixture(scope="module")
def transactions(dataset: Dataset) -> dict[str, Row]:
    return {row["transaction_id"]: row for row in dataset.records["transactions"]}


@pytest.fixture(scope="module")
def owner(dataset: Dataset) -> dict[str, str]:
    return {row["account_id"]: row["customer_id"] for row in dataset.records["accounts"]}


@pytest.fixture(scope="module")
def support_limit(dataset: Dataset) -> dict[str, int]:
    ada = next(row["operator_id"] for row in dataset.records["operators"] if row["username"] == "ada")
    rows = dataset.records["operator_limits"]
    return {row["currency"]: row["limit_minor"] for row in rows if row["operator_id"] == ada and row["action_kind"] == "refund"}


def _find_pairs(transactions: Mapping[str, Row], window: timedelta) -> set[tuple[str, str]]:
    by_purchase: dict[tuple[str, str, int], list[Row]] = {}
    for row in transactions.values():
        if row["kind"] == "card_payment" and row["status"] in {"posted", "pending"}:
            by_purchase.setdefault((row["account_id"], row["merchant_id"], row["amount_minor"]), []).append(row)
    return {
        (first["transaction_id"], second["transaction_id"])
        for rows in by_purchase.values()
        for first, second in pairwise(sorted(rows, key=lambda row: row["occurred_at"]))
        if second["occurred_at"] - first["occurred_at"] <= window
    }


def test_duplicates_are_exactly_those_of_the_manifest(dataset: Dataset, transactions: dict[str, Row]) -> None:
    planted = {(item["first_transaction_id"], item["second_transaction_id"]) for item in dataset.manifest["duplicates"]}
    assert _find_pairs(transactions, timedelta(minutes=10)) == planted
    # Within a day only the legitimate repeats come on top: nothing repeats by chance.
    repeats = _find_pairs(transactions, timedelta(hours=24)) - planted
    assert len(repeats) == 40


def test_enough_recent_duplicates_below_and_above_the_limit(
    dataset: Dataset, transactions: dict[str, Row], owner: dict[str, str], support_limit: dict[str, int]
) -> None:
    recent = [item for item in dataset.manifest["duplicates"] if item["is_recent"]]
    for item in recent:
        second = transactions[item["second_transaction_id"]]
        assert END - second["occurred_at"] < timedelta(days=30)
        assert second["status"] == "posted"
        assert item["customer_id"] == owner[second["account_id"]]
        assert item["is_above_limit"] == (second["amount_minor"] > support_limit[second["currency"]])
    below = [item for item in recent if not item["is_above_limit"] and item["merchant_refund_id"] is None]
    assert len(below) >= 40
    assert len({item["customer_id"] for item in dataset.manifest["duplicates"]}) == len(dataset.manifest["duplicates"])
    assert sum(item["is_above_limit"] for item in recent) >= 5


@pytest.mark.parametrize(
    "name",
    [
        "duplicate_small",
        "duplicate_small_2",
        "duplicate_small_3",
        "duplicate_gbp",
        "duplicate_usd",
        "duplicate_jpy",
        "duplicate_kwd",
    ],
)
def test_small_duplicate_can_be_refunded_at_once(
    name: str, dataset: Dataset, transactions: dict[str, Row], owner: dict[str, str], support_limit: dict[str, int]
) -> None:
    scenario = dataset.manifest["scenarios"][name]
    first, second = (transactions[item] for item in scenario["transaction_ids"])
    assert second["transaction_id"] == scenario["transaction_id"]
    assert timedelta(0) < second["occurred_at"] - first["occurred_at"] < timedelta(minutes=10)
    assert second["amount_minor"] == first["amount_minor"] == scenario["amount_minor"] <= support_limit[second["currency"]]
    customer = next(row for row in dataset.records["customers"] if row["customer_id"] == scenario["customer_id"])
    assert owner[second["account_id"]] == customer["customer_id"]
    assert customer["kyc_status"] == "verified"
    account = next(row for row in dataset.records["accounts"] if row["account_id"] == second["account_id"])
    assert account["status"] == "active"
    mine = sorted(
        (row for row in transactions.values() if owner[row["account_id"]] == customer["customer_id"]),
        key=lambda row: row["occurred_at"],
    )
    assert second in mine[-60:], "the console gives handles to the last sixty"
    assert not any(row.get("related_transaction_id") in scenario["transaction_ids"] for row in mine)
    disputed = {row["transaction_id"] for row in dataset.records["disputes"]}
    assert not disputed & set(scenario["transaction_ids"])


def test_other_cases_of_duplicates(
    dataset: Dataset, transactions: dict[str, Row], owner: dict[str, str], support_limit: dict[str, int]
) -> None:
    scenarios = dataset.manifest["scenarios"]
    large = scenarios["duplicate_above_limit"]
    assert large["amount_minor"] > support_limit[large["currency"]]
    refunded = scenarios["duplicate_refunded_by_merchant"]
    credit = transactions[refunded["merchant_refund_id"]]
    assert credit["kind"] == "merchant_refund"
    assert credit["related_transaction_id"] == refunded["transaction_id"]
    foreign = scenarios["other_customer_transaction"]
    real_owner = owner[transactions[foreign["transaction_id"]]["account_id"]]
    assert real_owner == foreign["owner_customer_id"] != foreign["customer_id"]
    assert scenarios["unknown_transaction"]["transaction_id"] not in transactions
    guess = scenarios["amount_nobody_knows"]
    assert guess["amount_minor"] not in {
        row["amount_minor"] for row in transactions.values() if owner[row["account_id"]] == guess["customer_id"]
    }
    repeat = [transactions[item]["occurred_at"] for item in scenarios["legitimate_repeat"]["transaction_ids"]]
    assert repeat[1] - repeat[0] > timedelta(hours=3)


@pytest.mark.parametrize("code", STEP_OF_CODE)
def test_declines_have_a_trace_that_ends_where_the_code_says(code: str, dataset: Dataset, transactions: dict[str, Row]) -> None:
    assert transactions[dataset.manifest["scenarios"][f"decline_{code}"]["transaction_id"]]["decline_code"] == code
    order = list(STEP_OF_CODE.values())
    for row in transactions.values():
        if row.get("decline_code") != code:
            continue
        assert row["status"] == "declined"
        assert "posted_at" not in row
        trace = row["decline_trace"]
        failed = next(step for step in trace if step["result"] == "fail")
        assert failed["step"] == STEP_OF_CODE[code]
        assert [step["step"] for step in trace if step["result"] == "pass"] == order[: order.index(failed["step"])]
        assert trace[-1]["step"] == "issuer_response"
        assert trace[-1]["detail"]["response_code"] == RESPONSE_CODES[code]
        if code == "insufficient_funds":
            assert failed["detail"]["available_minor"] < failed["detail"]["needed_minor"] == row["amount_minor"]
        if code == "limit_exceeded":
            assert failed["detail"]["used_minor"] + failed["detail"]["needed_minor"] > failed["detail"]["limit_minor"]


def test_fees_follow_the_schedule(dataset: Dataset, transactions: dict[str, Row]) -> None:
    scenarios = dataset.manifest["scenarios"]
    foreign = scenarios["fee_question"]
    assert foreign["amount_minor"] == fx_fee_minor(transactions[foreign["related_transaction_id"]]["amount_minor"])
    cash = scenarios["fee_cash_withdrawal"]
    assert cash["amount_minor"] == WITHDRAWAL_FEE_MINOR[cash["currency"]]
    withdrawal = transactions[cash["related_transaction_id"]]
    same_month = [
        row
        for row in transactions.values()
        if row["kind"] == "cash_withdrawal"
        and row["account_id"] == withdrawal["account_id"]
        and row["occurred_at"].strftime("%Y-%m") == withdrawal["occurred_at"].strftime("%Y-%m")
        and row["occurred_at"] <= withdrawal["occurred_at"]
    ]
    assert len(same_month) > 3
    assert f"no. {len(same_month)} this month" in cash["descriptor"]
    returned = scenarios["fee_returned_debit"]
    assert returned["amount_minor"] == RETURNED_DEBIT_FEE_MINOR[returned["currency"]]
    assert transactions[returned["related_transaction_id"]]["status"] == "reversed"


def test_payouts_and_disputes(dataset: Dataset, transactions: dict[str, Row]) -> None:
    pending = dataset.manifest["scenarios"]["payout_pending"]
    assert transactions[pending["transaction_id"]]["settles_on"] == pending["settles_on"] > AS_OF
    assert transactions[dataset.manifest["scenarios"]["payout_settled"]["transaction_id"]]["status"] == "posted"
    dispute = dataset.manifest["scenarios"]["dispute_open"]
    row = next(row for row in dataset.records["disputes"] if row["dispute_id"] == dispute["dispute_id"])
    assert row["state"] in {"open", "evidence"}
    assert row["transaction_id"] == dispute["transaction_id"]
