"""Devices and logins: who came in from where, and when it failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from demo.numbers import make_ip
from demo.people import Customer, record_id

Row = dict[str, Any]
_YEAR_DAYS = 365


def make_devices(random: Random, customers: tuple[Customer, ...], as_of: datetime) -> tuple[Row, ...]:
    """Make one to three devices for each customer; the first is trusted."""
    rows: list[Row] = []
    for customer in customers:
        known_days = (as_of - customer.opened_at).days
        for index in range(random.choices((1, 2, 3), (5, 4, 1))[0]):
            age_days = known_days if index == 0 else random.randrange(0, max(1, known_days))
            rows.append(
                {
                    "device_id": record_id(random, "dev"),
                    "customer_id": customer.customer_id,
                    "platform": random.choice(("ios", "android", "web")),
                    "first_seen_at": max(customer.opened_at, as_of - timedelta(days=age_days, minutes=random.randrange(1, 900))),
                    "trusted": index == 0 or random.random() < 0.6,
                }
            )
    return tuple(rows)


def make_logins(random: Random, customers: tuple[Customer, ...], devices: tuple[Row, ...], as_of: datetime) -> tuple[Row, ...]:
    """Make a year of logins from few addresses per customer; now and then one fails, or comes from abroad and is challenged."""
    by_customer: dict[str, list[Row]] = {}
    for device in devices:
        by_customer.setdefault(device["customer_id"], []).append(device)
    rows: list[Row] = []
    for customer in customers:
        addresses = [make_ip(random) for _ in range(random.randrange(1, 4))]
        span_minutes = min(_YEAR_DAYS, (as_of - customer.opened_at).days) * 1_440
        for _ in range(random.randrange(15, 45)):
            moment = as_of - timedelta(minutes=random.randrange(1, span_minutes))
            known = [device for device in by_customer[customer.customer_id] if device["first_seen_at"] <= moment]
            is_abroad = random.random() < 0.02
            rows.append(
                {
                    "login_id": record_id(random, "lgn"),
                    "customer_id": customer.customer_id,
                    "device_id": random.choice(known)["device_id"] if known and not is_abroad else None,
                    "ip": make_ip(random) if is_abroad else random.choice(addresses),
                    "country": random.choice(("BR", "NG", "VN", "US", "TR")) if is_abroad else customer.country,
                    "outcome": "challenged" if is_abroad else random.choices(("success", "failed", "challenged"), (90, 8, 2))[0],
                    "occurred_at": moment,
                }
            )
    rows.sort(key=lambda row: (row["occurred_at"], row["login_id"]))
    return tuple(rows)
