"""The demo tenant: same bytes for the same seed, large enough, numbers from test ranges, nothing contradictory."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import schwifty

from demo.__main__ import main
from demo.fees import fx_fee_minor
from demo.generator import DEFAULT_SEED, KINDS, Dataset, generate
from demo.names import CULTURES
from demo.numbers import TEST_BINS, is_luhn_valid, is_steuer_id_valid, is_verhoeff_valid
from demo.writing import write_dataset
from domain.money import EXPONENTS
from serving.ingest.fields import is_luhn_valid as is_luhn_valid_elsewhere
from serving.ingest.kinds import KINDS as INGEST_KINDS
from tests.unit.demo.conftest import AS_OF

END = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_same_seed_and_day_give_the_same_bytes(dataset: Dataset, tmp_path: Path) -> None:
    write_dataset(dataset, tmp_path / "one")
    assert main(["--out", str(tmp_path / "two"), "--as-of", AS_OF.isoformat()]) == 0
    assert _digests(tmp_path / "one") == _digests(tmp_path / "two")
    assert set(_digests(tmp_path / "one")) == {f"{kind}.jsonl" for kind in KINDS} | {"scenarios.json"}


def test_other_seed_gives_other_people(dataset: Dataset) -> None:
    other = generate(seed=DEFAULT_SEED + 1, as_of=AS_OF)
    ours = {row["customer_id"] for row in dataset.records["customers"]}
    assert not ours & {row["customer_id"] for row in other.records["customers"]}


@pytest.mark.parametrize("as_of", [date(2027, 1, 1), date(2028, 2, 29)])
def test_any_day_has_every_scenario(dataset: Dataset, as_of: date) -> None:
    scenarios = generate(seed=DEFAULT_SEED, as_of=as_of).manifest["scenarios"]
    assert set(scenarios) == set(dataset.manifest["scenarios"])


def test_unwritable_folder_is_said(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("demo.__main__.generate", lambda **_: dataset)
    assert main(["--out", str(tmp_path / "file"), "--as-of", AS_OF.isoformat()]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_counts(dataset: Dataset) -> None:
    counts = {kind: len(rows) for kind, rows in dataset.records.items()}
    assert counts == dataset.manifest["counts"]
    assert counts["customers"] >= 300
    assert counts["transactions"] >= 60_000
    assert 140 <= counts["merchants"] <= 170
    assert counts["operators"] == 12
    assert len(CULTURES) >= 15
    currencies = Counter(row["currency"] for row in dataset.records["accounts"])
    assert set(currencies) == {"EUR", "GBP", "USD", "JPY", "KWD"}
    assert currencies.most_common(1)[0][0] == "EUR"
    assert tuple(KINDS) == tuple(INGEST_KINDS)


def test_ids_are_unique_and_shaped(dataset: Dataset) -> None:
    prefixes = {
        "customers": "cus",
        "accounts": "acc",
        "cards": "crd",
        "transactions": "txn",
        "merchants": "mrc",
        "beneficiaries": "ben",
        "devices": "dev",
        "logins": "lgn",
        "disputes": "dsp",
        "operators": "opr",
    }
    for kind, prefix in prefixes.items():
        ids = [row[INGEST_KINDS[kind].key[0]] for row in dataset.records[kind]]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(rf"{prefix}_[0-9a-f]{{12}}", item) for item in ids)


def test_ibans_are_valid_and_at_no_real_bank(dataset: Dataset) -> None:
    numbers = [row["number"] for row in dataset.records["accounts"]] + [
        row["account_number"] for row in dataset.records["beneficiaries"]
    ]
    assert len(set(numbers)) == len(numbers)
    for number in numbers:
        iban = schwifty.IBAN(number)
        assert iban.bank is None, number
        assert set(iban.bank_code) == {"0"} or iban.bank_code == "TEST", number


def test_card_numbers_are_valid_and_in_test_bins(dataset: Dataset) -> None:
    cards = dataset.records["cards"]
    assert len({row["pan"] for row in cards}) == len(cards)
    for row in cards:
        assert row["pan"][:6] in TEST_BINS[row["scheme"]]
        assert len(row["pan"]) == 16
        assert is_luhn_valid(row["pan"])
        assert is_luhn_valid_elsewhere(row["pan"])


def test_national_ids_pass_their_checks_and_are_test_numbers(dataset: Dataset) -> None:
    seen = Counter[str]()
    for row in dataset.records["customers"]:
        number, country = row.get("national_id"), row["country"]
        if number is None:
            continue
        seen[country] += 1
        checks: dict[str, Callable[[str], bool]] = {
            "DE": lambda text: text.startswith("0") and is_steuer_id_valid(text),
            "GB": lambda text: re.fullmatch(r"QQ\d{6}[A-D]", text) is not None,
            "IN": lambda text: text.startswith("9999") and is_verhoeff_valid(text),
            "US": lambda text: re.fullmatch(r"9\d\d-[1-4]\d-\d{4}", text) is not None,
        }
        assert checks[country](number), (country, number)
    assert set(seen) == {"DE", "GB", "IN", "US"}
    # Published test numbers: the checks themselves are right.
    assert is_verhoeff_valid("999941057058")
    assert is_steuer_id_valid("86095742719")
    assert not is_steuer_id_valid("86095742710")


def test_contacts_lead_nowhere(dataset: Dataset) -> None:
    fictional = re.compile(r"\+447700900\d{3}|\+1\d{3}55501\d\d|\+493023125\d{3}|\+3363998\d{4}|\+\d{1,3}00\d{7}")
    networks = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")]
    for row in dataset.records["customers"]:
        assert re.fullmatch(r"[a-z0-9.-]+@example\.(com|org|net)", row["email"]), row["email"]
        assert fictional.fullmatch(row["phone"]), row["phone"]
    for row in dataset.records["logins"]:
        address = ipaddress.ip_address(row["ip"])
        assert any(address in network for network in networks if network.version == address.version)


def test_every_row_passes_its_own_model(dataset: Dataset, tmp_path: Path) -> None:
    write_dataset(dataset, tmp_path)
    for kind in KINDS:
        model = INGEST_KINDS[kind].row
        for line in (tmp_path / f"{kind}.jsonl").read_bytes().splitlines():
            model.model_validate_json(line)


def test_transactions_agree_with_each_other(dataset: Dataset) -> None:
    transactions = {row["transaction_id"]: row for row in dataset.records["transactions"]}
    accounts = {row["account_id"]: row for row in dataset.records["accounts"]}
    cards = {row["card_id"]: row for row in dataset.records["cards"]}
    merchants = {row["merchant_id"] for row in dataset.records["merchants"]}
    assert list(transactions) == [
        row["transaction_id"]
        for row in sorted(transactions.values(), key=lambda row: (row["occurred_at"], row["transaction_id"]))
    ]
    for row in transactions.values():
        account = accounts[row["account_id"]]
        assert row["currency"] == account["currency"]
        assert row["currency"] in EXPONENTS
        assert type(row["amount_minor"]) is int
        assert row["amount_minor"] > 0
        assert max(END - timedelta(days=366), account["opened_at"]) <= row["occurred_at"] < END
        assert row.get("posted_at", END) <= END
        assert row.get("merchant_id") is None or row["merchant_id"] in merchants
        assert row.get("card_id") is None or cards[row["card_id"]]["account_id"] == row["account_id"]
        related = transactions.get(row.get("related_transaction_id"))
        assert (related is not None) == ("related_transaction_id" in row)
        if related is not None:
            assert related["account_id"] == row["account_id"]
            assert related["occurred_at"] <= row["occurred_at"]
        if row["kind"] == "merchant_refund":
            assert related is not None
            assert row["amount_minor"] <= related["amount_minor"]
        if row["descriptor"].startswith("Foreign payment fee"):
            assert related is not None
            assert row["amount_minor"] == fx_fee_minor(related["amount_minor"])


def test_payouts_settle_on_business_days(dataset: Dataset) -> None:
    payouts = [row for row in dataset.records["transactions"] if row["kind"] == "payout"]
    assert any(row["status"] == "pending" and row["settles_on"] >= AS_OF for row in payouts)
    for row in payouts:
        assert row["settles_on"].weekday() < 5
        assert (row["status"] == "posted") == (row["settles_on"] < AS_OF)


def test_staff_is_two_of_each_role_and_limits_are_listed(dataset: Dataset) -> None:
    operators = {row["username"]: row for row in dataset.records["operators"]}
    assert Counter(role for row in operators.values() for role in row["roles"]) == dict.fromkeys(
        ("support", "approver", "investigator", "onboarding", "auditor", "admin"), 2
    )
    limits = {
        (row["operator_id"], row["action_kind"], row["currency"]): row["limit_minor"]
        for row in dataset.records["operator_limits"]
    }
    for name in ("ada", "ben", "cleo", "dan"):
        assert {currency for who, kind, currency in limits if who == operators[name]["operator_id"] and kind == "refund"} == {
            "EUR", "GBP", "USD", "JPY", "KWD"
        }  # fmt: skip
    assert limits[operators["ada"]["operator_id"], "refund", "EUR"] < limits[operators["cleo"]["operator_id"], "refund", "EUR"]
    assert not any(who == operators["kim"]["operator_id"] for who, _, _ in limits)
