"""The planted stories are found in the records alone, look as such frauds look, and their truth is told late."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.disputed import CLOCK_AGES_DAYS
from demo.generator import DEFAULT_SEED, Dataset, generate
from domain.label import LABEL_DELAY
from tests.unit.demo.conftest import AS_OF

Row = Mapping[str, Any]
END = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)
DUPLICATE_SMALL = ["txn_aa94e2a3c852", "txn_8e0887cb2efc"]
DISPUTE_OPEN = "dsp_54041880da52"
DECLINE_SUSPECTED_FRAUD = "txn_2e5050bb8fe1"
PATTERNS = {"card_testing", "account_takeover", "mule_fan_out", "friendly_fraud"}


@pytest.fixture(scope="module")
def transactions(dataset: Dataset) -> dict[str, Row]:
    return {row["transaction_id"]: row for row in dataset.records["transactions"]}


@pytest.fixture(scope="module")
def owner(dataset: Dataset) -> dict[str, str]:
    return {row["account_id"]: row["customer_id"] for row in dataset.records["accounts"]}


def _of(dataset: Dataset, pattern: str | None, likeness: str) -> list[Row]:
    return [item for item in dataset.manifest["incidents"] if (item["pattern"], item["likeness"]) == (pattern, likeness)]


def test_scenarios_are_those_of_before(dataset: Dataset) -> None:
    # Written down before there were any frauds: what is planted shifts nothing.
    scenarios = dataset.manifest["scenarios"]
    assert scenarios["duplicate_small"]["transaction_ids"] == DUPLICATE_SMALL
    assert scenarios["dispute_open"]["dispute_id"] == DISPUTE_OPEN
    assert scenarios["decline_suspected_fraud"]["transaction_id"] == DECLINE_SUSPECTED_FRAUD


def test_every_pattern_runs_through_the_year_and_spares_the_scenarios(dataset: Dataset, owner: dict[str, str]) -> None:
    incidents = dataset.manifest["incidents"]
    for pattern in PATTERNS:
        started = [item["started_at"] for item in _of(dataset, pattern, pattern)]
        assert len(started) >= 12
        assert min(started) < END - timedelta(days=200) < END - timedelta(days=90) < max(started)
    heroes = {case["customer_id"] for case in dataset.manifest["scenarios"].values()}
    heroes |= {item["customer_id"] for item in dataset.manifest["duplicates"]}
    by_id = {row["transaction_id"]: owner[row["account_id"]] for row in dataset.records["transactions"]}
    assert not heroes & {by_id[transaction] for item in incidents for transaction in item["transaction_ids"]}
    # A story has its customer for itself, but for the cards that are tried: those are of many.
    alone = Counter(item["customer_id"] for item in incidents if item["customer_id"] and item["likeness"] != "friendly_fraud")
    assert set(alone.values()) == {1}


def test_card_testing_is_a_burst_of_small_change_at_one_shop(dataset: Dataset, transactions: dict[str, Row]) -> None:
    for item in _of(dataset, "card_testing", "card_testing"):
        tried = [transactions[name] for name in item["transaction_ids"]]
        small = [row for row in tried if row["amount_minor"] < 350]
        assert {row["merchant_id"] for row in small} == {item["merchant_id"]}
        assert len({row["card_id"] for row in small}) == len(small) >= 8
        assert max(row["occurred_at"] for row in small) - min(row["occurred_at"] for row in small) < timedelta(minutes=15)
    everyone = [transactions[name] for item in _of(dataset, "card_testing", "card_testing") for name in item["transaction_ids"]]
    declined = sum(row["status"] == "declined" for row in everyone)
    assert len(everyone) // 3 < declined < len(everyone)


def test_takeover_comes_in_adds_a_payee_and_pays(dataset: Dataset, transactions: dict[str, Row]) -> None:
    payees = {row["beneficiary_id"]: row for row in dataset.records["beneficiaries"]}
    logins: dict[str, list[Row]] = defaultdict(list)
    for row in dataset.records["logins"]:
        logins[row["customer_id"]].append(row)
    devices: dict[str, list[Row]] = defaultdict(list)
    for row in dataset.records["devices"]:
        devices[row["customer_id"]].append(row)
    failed_before = 0
    for item in _of(dataset, "account_takeover", "account_takeover"):
        paid = [transactions[name] for name in item["transaction_ids"]]
        (payee,) = [payees[name] for name in item["beneficiary_ids"]]
        assert {row["beneficiary_id"] for row in paid} == {payee["beneficiary_id"]}
        assert payee["customer_id"] == item["customer_id"]
        assert "verified_at" not in payee
        assert timedelta(0) < item["started_at"] - payee["added_at"] < timedelta(hours=1)
        day = timedelta(hours=24)
        assert [row for row in devices[item["customer_id"]] if payee["added_at"] - day < row["first_seen_at"] < payee["added_at"]]
        before = [row for row in logins[item["customer_id"]] if payee["added_at"] - day < row["occurred_at"] < payee["added_at"]]
        failed_before += sum(row["outcome"] == "failed" for row in before) >= 3
        assert {"challenged", "success"} <= {row["outcome"] for row in before}
    assert failed_before >= 10


def test_mule_passes_on_what_came_in_to_many_new_payees(dataset: Dataset, transactions: dict[str, Row]) -> None:
    payees = {row["beneficiary_id"]: row for row in dataset.records["beneficiaries"]}
    for item in _of(dataset, "mule_fan_out", "mule_fan_out"):
        paid = [transactions[name] for name in item["transaction_ids"]]
        assert len({row["beneficiary_id"] for row in paid}) == len(paid) >= 5
        assert all(row["occurred_at"] - payees[row["beneficiary_id"]]["added_at"] < timedelta(hours=1) for row in paid)
        account = paid[0]["account_id"]
        came_in = [
            row["amount_minor"]
            for row in transactions.values()
            if row["account_id"] == account
            and row["kind"] == "transfer_in"
            and timedelta(0) < item["started_at"] - row["occurred_at"] < timedelta(hours=3)
        ]
        assert sum(came_in) > sum(row["amount_minor"] for row in paid)


def test_friendly_fraud_repeats_and_disputes_stand_at_every_turn(dataset: Dataset, transactions: dict[str, Row]) -> None:
    stories = _of(dataset, "friendly_fraud", "friendly_fraud")
    assert max(Counter(item["customer_id"] for item in stories).values()) >= 3
    disputes = {row["dispute_id"]: row for row in dataset.records["disputes"]}
    assert len({row["transaction_id"] for row in disputes.values()}) == len(disputes)
    for item in stories:
        (dispute,) = [disputes[name] for name in item["dispute_ids"]]
        assert dispute["network_reason_code"] in {"13.1", "4853"}
        assert transactions[dispute["transaction_id"]]["status"] == "posted"
        assert (dispute["state"] == "lost") == (END - dispute["opened_at"] > timedelta(days=45))
    assert {row["state"] for row in disputes.values()} == {"open", "evidence", "submitted", "won", "lost", "withdrawn"}
    for currency in ("USD", "EUR"):
        ages = [
            (END - row["opened_at"] + timedelta(hours=12)).days
            for row in disputes.values()
            if row["state"] in {"open", "evidence"} and transactions[row["transaction_id"]]["currency"] == currency
        ]
        assert set(CLOCK_AGES_DAYS) <= set(ages)


def test_likenesses_are_no_frauds(dataset: Dataset) -> None:
    harmless = Counter(item["likeness"] for item in dataset.manifest["incidents"] if item["pattern"] is None)
    assert set(harmless) == {"account_takeover", "mule_fan_out", "card_testing"}
    subjects = {name for item in dataset.manifest["incidents"] if item["pattern"] is None for name in item["transaction_ids"]}
    labels = [row for row in dataset.records["labels"] if row["subject_id"] in subjects]
    assert labels
    assert {row["label"] for row in labels} == {"legitimate"}


def test_labels_come_late_and_say_what_was_planted(dataset: Dataset) -> None:
    planted = {name: item for item in dataset.manifest["incidents"] for name in item["transaction_ids"]}
    labels = dataset.records["labels"]
    assert [row["known_at"] for row in labels] == sorted(row["known_at"] for row in labels)
    for row in labels:
        assert row["known_at"] >= row["occurred_at"] + LABEL_DELAY
        assert row["known_at"] < END
        if row["subject_kind"] == "transaction":
            assert row.get("pattern") == planted[row["subject_id"]]["pattern"]
    labelled = {row["subject_id"] for row in labels if row["subject_kind"] == "transaction"}
    assert len({name for name in planted if name in labelled}) == len(labelled)
    young = [item for item in planted.values() if item["ended_at"] > END - LABEL_DELAY]
    assert young, "some truths are still to come"
    assert not labelled & {name for item in young for name in item["transaction_ids"]}
    assert {row["pattern"] for row in labels if row["label"] == "fraud"} == PATTERNS


def test_screening_knows_old_payees_only(dataset: Dataset) -> None:
    added = {row["beneficiary_id"]: row["added_at"] for row in dataset.records["beneficiaries"]}
    assert set(dataset.screening) == {name for name, moment in added.items() if moment < END - timedelta(hours=72)}
    assert Counter(dataset.screening.values()).most_common(1)[0][0] == "clear"
    assert set(dataset.screening.values()) == {"clear", "review", "hit"}


def test_cases_for_the_policy_are_what_they_are_called(dataset: Dataset, owner: dict[str, str]) -> None:
    cases = dataset.manifest["policy_scenarios"]
    payees = {row["beneficiary_id"]: row for row in dataset.records["beneficiaries"]}
    accounts = {row["account_id"]: row for row in dataset.records["accounts"]}
    states = {"payee_known": "clear", "payee_new": None, "payee_in_review": "review", "payee_on_list": "hit"}
    for name, state in states.items():
        case = cases[name]
        assert dataset.screening.get(case["beneficiary_id"]) == state
        account, payee = accounts[case["account_id"]], payees[case["beneficiary_id"]]
        assert (account["status"], account["currency"]) == ("active", payee["currency"])
        assert account["customer_id"] == payee["customer_id"] == case["customer_id"]
    paid = Counter(row["beneficiary_id"] for row in dataset.records["transactions"] if "beneficiary_id" in row)
    assert paid[cases["payee_known"]["beneficiary_id"]] >= 5
    assert END - payees[cases["payee_new"]["beneficiary_id"]]["added_at"] <= timedelta(hours=72)
    disputes = {row["dispute_id"]: row for row in dataset.records["disputes"]}
    for currency in ("usd", "eur"):
        for days in CLOCK_AGES_DAYS:
            case = cases[f"dispute_{currency}_{days}_days"]
            assert disputes[case["dispute_id"]]["transaction_id"] == case["transaction_id"]
            assert disputes[case["dispute_id"]]["state"] in {"open", "evidence"}
            assert owner[case["account_id"]] == case["customer_id"]
            assert accounts[case["account_id"]]["currency"] == currency.upper()
    assert {name for name in cases if name.startswith("fraud_")} == {f"fraud_{pattern}" for pattern in PATTERNS}


def test_every_transfer_names_a_payee_that_was_known_then(dataset: Dataset, owner: dict[str, str]) -> None:
    payees = {row["beneficiary_id"]: row for row in dataset.records["beneficiaries"]}
    for row in dataset.records["transactions"]:
        assert ("beneficiary_id" in row) == (row["kind"] == "transfer_out")
        if "beneficiary_id" in row:
            payee = payees[row["beneficiary_id"]]
            assert payee["customer_id"] == owner[row["account_id"]]
            assert payee["added_at"] < row["occurred_at"]


def test_another_seed_plants_other_stories(dataset: Dataset) -> None:
    other = generate(seed=DEFAULT_SEED + 7, as_of=AS_OF)
    assert not {row["label_id"] for row in other.records["labels"]} & {row["label_id"] for row in dataset.records["labels"]}
    assert {item["pattern"] for item in other.manifest["incidents"]} >= PATTERNS
