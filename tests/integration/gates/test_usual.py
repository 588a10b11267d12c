"""What the gate sees of the usual is what the baselines were learned from: the same windows, the same numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from psycopg.rows import dict_row

from tests.integration.gates.desk import Desk
from tests.integration.gates.desk_records import CUSTOMER, MERCHANT, STRANGE_ACCOUNT, STRANGER
from training.baselines import observe_customers, observe_merchants
from training.records import Records


def _observe(desk: Desk, customer_id: str, transaction_id: str | None, *, merchant_id: str | None = MERCHANT) -> dict[str, Any]:
    parameters = [customer_id, merchant_id, transaction_id, "EUR", 700, desk.now]
    with desk.role("gate").cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT * FROM core.observe_usual(%s, %s, %s, %s, %s, %s)", parameters).fetchone()
    assert row is not None
    return row


def _read_records(desk: Desk) -> Records:
    def read(table: str, order: str) -> tuple[dict[str, Any], ...]:
        with desk.role("jobs").cursor(row_factory=dict_row) as cursor:
            return tuple(cursor.execute(f"SELECT * FROM core.{table} ORDER BY {order}").fetchall())

    accounts = read("accounts", "account_id")
    transactions = read("transactions", 'occurred_at, transaction_id COLLATE "C"')
    return Records("desk", "", {"accounts": accounts, "transactions": transactions})


def _add_history(desk: Desk) -> None:
    for minutes in (0, 0, 30, 59, 60, 61, 24 * 60 - 1, 24 * 60, 24 * 60 + 1):
        desk.add_charge(100 + minutes, minutes=minutes)
    desk.add_charge(90, minutes=61, status="declined")
    desk.add_charge(400, minutes=62, account_id=STRANGE_ACCOUNT, status="declined")
    desk.add_charge(9_000, minutes=62, kind="direct_debit")


def test_what_is_observed_of_a_charge_is_what_baselines_were_learned_from(desk: Desk) -> None:
    _add_history(desk)
    records = _read_records(desk)
    customer_of = {row["account_id"]: row["customer_id"] for row in records.rows["accounts"]}
    account_of = {row["transaction_id"]: row["account_id"] for row in records.rows["transactions"]}
    by_customer = {seen.transaction_id: dict(seen.observation.values) for seen in observe_customers(records)}
    by_merchant = {seen.transaction_id: dict(seen.observation.values) for seen in observe_merchants(records)}
    assert len(by_customer) == len(by_merchant) == 11
    for transaction_id, values in by_customer.items():
        row = _observe(desk, customer_of[account_of[transaction_id]], transaction_id)
        assert {name: row[name] for name in values} == values
        assert {name: row[f"merchant_{name}"] for name in by_merchant[transaction_id]} == by_merchant[transaction_id]
    assert max(values["payments_1h_count"] for values in by_customer.values()) >= 4
    assert max(values["declines_1h_count"] for values in by_merchant.values()) == 2


def test_a_proposed_payment_is_the_last_of_its_own_windows(desk: Desk) -> None:
    for minutes in (-30, -60, -61):
        desk.add_charge(1_000, minutes=3 * 24 * 60 + minutes)
    row = _observe(desk, CUSTOMER, None, merchant_id=None)
    assert (row["amount_minor"], row["payments_1h_count"], row["payments_24h_count"]) == (700, 2, 4)
    assert (row["payments_24h_minor"], row["merchant_payments_1h_count"]) == (3_700, 0)
    desk.now += timedelta(days=1)
    assert _observe(desk, CUSTOMER, None)["payments_24h_count"] == 1
    assert _observe(desk, STRANGER, None)["payments_24h_minor"] == 700


def test_another_tenant_sees_nothing(desk: Desk, other_tenant: Any, conn_as: Any) -> None:
    transaction_id = desk.add_charge(minutes=3 * 24 * 60)
    connection = conn_as("gate", other_tenant)
    parameters = [CUSTOMER, MERCHANT, None, "EUR", 1, desk.now]
    row = connection.execute("SELECT * FROM core.observe_usual(%s, %s, %s, %s, %s, %s)", parameters).fetchone()
    assert row == (1, 1, 1, 1, 0, 0, 0)
    parameters[2] = transaction_id
    assert connection.execute("SELECT * FROM core.observe_usual(%s, %s, %s, %s, %s, %s)", parameters).fetchone() is None
