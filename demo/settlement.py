"""The settlement batches that carried the demo's payouts, told from the payouts themselves: ids, amounts and times only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from demo.transactions import add_business_days

_SCHEME_OF_CURRENCY = {"EUR": "sepa", "GBP": "bacs", "USD": "ach", "JPY": "zengin", "KWD": "knet"}
_SETTLES_AT = time(6, tzinfo=UTC)
_SUBMITTED_AT = time(2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Payout:
    """Hold what a batch needs to know of a payout."""

    transaction_id: str
    amount_minor: int
    currency: str
    occurred_at: datetime
    settles_on: date


@dataclass(frozen=True, slots=True)
class _Group:
    """The payouts of one scheme that settle on one day."""

    batch_id: str
    scheme: str
    currency: str
    settles_on: date
    payouts: tuple[Payout, ...]

    @property
    def settles_at(self) -> datetime:
        return datetime.combine(self.settles_on, _SETTLES_AT)

    @property
    def complete_at(self) -> datetime:
        return max(payout.occurred_at for payout in self.payouts) + timedelta(hours=1)


def make_settlement_rows(payouts: Iterable[Payout], *, seed: int, as_of: datetime) -> tuple[dict[str, Any], ...]:
    """Make the steps of every batch up to `as_of`, in the order of their times.

    One batch of the past was promised a day earlier than it settled, and one of those that are under way is delayed.
    """
    groups = _group(payouts)
    random = Random(f"settlement:{seed}")
    past = [group for group in groups if group.settles_at < as_of - timedelta(days=7)]
    under_way = [group for group in groups if group.settles_at >= as_of]
    late = random.choice(past) if past else None
    delayed = random.choice(under_way) if under_way else None
    rows = [row for group in groups for row in _steps(group, as_of, was_late=group is late, is_delayed=group is delayed)]
    return tuple(sorted(rows, key=lambda row: (row["occurred_at"], row["batch_id"], row["state"])))


def _group(payouts: Iterable[Payout]) -> list[_Group]:
    found: dict[tuple[str, date], list[Payout]] = defaultdict(list)
    for payout in payouts:
        found[payout.currency, payout.settles_on].append(payout)
    return [
        _Group(
            batch_id=f"{_SCHEME_OF_CURRENCY[currency]}-{settles_on:%Y%m%d}",
            scheme=_SCHEME_OF_CURRENCY[currency],
            currency=currency,
            settles_on=settles_on,
            payouts=tuple(sorted(members, key=lambda payout: payout.transaction_id)),
        )
        for (currency, settles_on), members in sorted(found.items())
    ]


def _steps(group: _Group, as_of: datetime, *, was_late: bool, is_delayed: bool) -> Iterator[dict[str, Any]]:
    promised = group.settles_at
    if was_late:
        promised = datetime.combine(_previous_business_day(group.settles_on), _SETTLES_AT)
    submitted_at = datetime.combine(group.complete_at.date() + timedelta(days=1), _SUBMITTED_AT)
    steps = [
        _step(group, "expected", group.complete_at, expected_at=promised),
        _step(group, "submitted", submitted_at, expected_at=promised),
        _step(group, "settled", group.settles_at),
    ]
    if was_late:
        steps.append(_step(group, "delayed", promised, expected_at=group.settles_at, reason_code="scheme_closed"))
    if is_delayed:
        next_day = datetime.combine(add_business_days(group.settles_on, 1), _SETTLES_AT)
        told_at = as_of - timedelta(hours=1)
        steps = [step for step in steps if step["occurred_at"] < told_at]
        steps.append(_step(group, "delayed", told_at, expected_at=next_day, reason_code="scheme_maintenance"))
    yield from (step for step in steps if step["occurred_at"] < as_of)


def _step(group: _Group, state: str, occurred_at: datetime, **more: Any) -> dict[str, Any]:
    return {
        "batch_id": group.batch_id,
        "scheme": group.scheme,
        "state": state,
        "occurred_at": occurred_at,
        "currency": group.currency,
        "amount_minor": sum(payout.amount_minor for payout in group.payouts),
        "item_count": len(group.payouts),
        "references": [payout.transaction_id for payout in group.payouts],
        **more,
    }


def _previous_business_day(day: date) -> date:
    day -= timedelta(days=1)
    while day.weekday() >= 5:
        day -= timedelta(days=1)
    return day
