"""One row for each payment of the past: the facts that the gate would have had at that moment, under the gate's own names.

A transfer to a payee stands for a payment that the gate decided and that was executed. Every window is half-open, `(t - w, t]`,
and the payment itself is not in it: what came later, and what it was itself, is not known when it is decided.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from training.records import Records, Row, group_times

PAYMENT_FACTS = (
    ("customer.age_days", "new_customer"),
    ("customer.failed_logins_7d_count", "failed_logins"),
    ("customer.foreign_logins_7d_count", "foreign_logins"),
    ("customer.challenged_logins_24h_count", "challenged_logins"),
    ("customer.new_devices_24h_count", "new_device"),
    ("customer.disputes_365d_count", "many_disputes"),
    ("beneficiary.age_hours", "new_beneficiary"),
    ("beneficiary.paid_count", "rarely_paid_beneficiary"),
    ("beneficiary.max_paid_minor", "small_payments_before"),
    ("velocity.customer_1h_count", "many_payments_in_an_hour"),
    ("velocity.customer_24h_count", "many_payments_in_a_day"),
    ("velocity.customer_24h_minor", "much_paid_in_a_day"),
    ("velocity.customer_7d_count", "many_payments_in_a_week"),
    ("velocity.customer_7d_minor", "much_paid_in_a_week"),
    ("velocity.beneficiary_24h_count", "many_payments_to_one"),
    ("velocity.beneficiary_24h_minor", "much_paid_to_one"),
)
"""The facts of a payment that are integers, each with the reason that it gives."""
_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """Hold one payment: its facts in the order of `PAYMENT_FACTS`, and nothing of what turned out later."""

    transaction_id: str
    occurred_at: datetime
    facts: tuple[int, ...]


@dataclass(slots=True)
class _Paid:
    """The payments of one subject so far: times, and running sums of their amounts in each currency."""

    times: list[datetime] = field(default_factory=list)
    amounts: list[tuple[str, int]] = field(default_factory=list)

    def count(self, now: datetime, window: timedelta) -> int:
        return len(self.times) - bisect_right(self.times, now - window)

    def total(self, now: datetime, window: timedelta, currency: str) -> int:
        return sum(amount for held, amount in self.amounts[bisect_right(self.times, now - window) :] if held == currency)

    def highest(self, currency: str) -> int:
        return max((amount for held, amount in self.amounts if held == currency), default=0)

    def add(self, now: datetime, currency: str, amount_minor: int) -> None:
        self.times.append(now)
        self.amounts.append((currency, amount_minor))


def make_payment_rows(records: Records) -> tuple[TrainingRow, ...]:
    """Make the rows in order of time. A transfer without a payee is no payment of ours and has none."""
    past = _Past(records)
    transfers = [row for row in records.rows["transactions"] if row["kind"] == "transfer_out" and row.get("beneficiary_id")]
    return tuple(past.step(row) for row in transfers)


class _Past:
    """Walk through time; know at each step only what had happened by then."""

    def __init__(self, records: Records) -> None:
        rows = records.rows
        self._customers = {row["customer_id"]: row for row in rows["customers"]}
        self._customer_of = {row["account_id"]: row["customer_id"] for row in rows["accounts"]}
        self._payees = {row["beneficiary_id"]: row for row in rows["beneficiaries"]}
        logins = rows["logins"]
        self._failed = group_times([row for row in logins if row["outcome"] == "failed"], "customer_id", "occurred_at")
        self._challenged = group_times([row for row in logins if row["outcome"] == "challenged"], "customer_id", "occurred_at")
        self._foreign = group_times([row for row in logins if self._is_foreign(row)], "customer_id", "occurred_at")
        self._devices = group_times(rows["devices"], "customer_id", "first_seen_at")
        self._disputes = self._group_disputes(rows["transactions"], rows["disputes"])
        self._paid_by: dict[str, _Paid] = defaultdict(_Paid)
        self._paid_to: dict[str, _Paid] = defaultdict(_Paid)

    def step(self, transfer: Row) -> TrainingRow:
        now, currency = transfer["occurred_at"], transfer["currency"]
        customer_id = self._customer_of[transfer["account_id"]]
        payer, payee = self._paid_by[customer_id], self._paid_to[transfer["beneficiary_id"]]
        facts = {
            "customer.age_days": (now - self._customers[customer_id]["opened_at"]) // _DAY,
            "customer.failed_logins_7d_count": _count(self._failed, customer_id, now, _WEEK),
            "customer.foreign_logins_7d_count": _count(self._foreign, customer_id, now, _WEEK),
            "customer.challenged_logins_24h_count": _count(self._challenged, customer_id, now, _DAY),
            "customer.new_devices_24h_count": _count(self._devices, customer_id, now, _DAY),
            "customer.disputes_365d_count": _count(self._disputes, customer_id, now, 365 * _DAY),
            "beneficiary.age_hours": (now - self._payees[transfer["beneficiary_id"]]["added_at"]) // _HOUR,
            "beneficiary.paid_count": len(payee.times),
            "beneficiary.max_paid_minor": payee.highest(currency),
            "velocity.customer_1h_count": payer.count(now, _HOUR),
            "velocity.customer_24h_count": payer.count(now, _DAY),
            "velocity.customer_24h_minor": payer.total(now, _DAY, currency),
            "velocity.customer_7d_count": payer.count(now, _WEEK),
            "velocity.customer_7d_minor": payer.total(now, _WEEK, currency),
            "velocity.beneficiary_24h_count": payee.count(now, _DAY),
            "velocity.beneficiary_24h_minor": payee.total(now, _DAY, currency),
        }
        for paid in (payer, payee):
            paid.add(now, currency, transfer["amount_minor"])
        return TrainingRow(transfer["transaction_id"], now, tuple(facts[name] for name, _ in PAYMENT_FACTS))

    def _is_foreign(self, login: Row) -> bool:
        return bool(login["outcome"] == "success" and login["country"] != self._customers[login["customer_id"]]["country"])

    def _group_disputes(self, transactions: Sequence[Row], disputes: Sequence[Row]) -> Mapping[str, list[datetime]]:
        account_of = {row["transaction_id"]: row["account_id"] for row in transactions}
        owned = [{**row, "customer_id": self._customer_of[account_of[row["transaction_id"]]]} for row in disputes]
        return group_times(owned, "customer_id", "opened_at")


def _count(times: Mapping[str, list[datetime]], key: str, now: datetime, window: timedelta) -> int:
    held = times.get(key, [])
    return bisect_right(held, now) - bisect_right(held, now - window)
