"""What turned out about the planted stories and the disputes, each from the moment on at which the bank knew it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

from demo.people import Beneficiary, record_id
from demo.planted import Incident
from domain.label import LABEL_DELAY

_SCREENED_AFTER = timedelta(hours=72)


def make_labels(
    random: Random,
    incidents: Iterable[Incident],
    disputes: Iterable[Mapping[str, Any]],
    occurred_at: Mapping[str, datetime],
    as_of: datetime,
) -> tuple[dict[str, Any], ...]:
    """Label the records of the stories, and the disputes that their customers won. What is not known before `as_of` has no label.

    `occurred_at` says when each transaction happened and each payee was added.
    """
    rows: list[dict[str, Any]] = []
    for incident in incidents:
        known_at = incident.ended_at + timedelta(days=incident.known_days, minutes=random.randrange(0, 900))
        rows += (
            _label(
                random, kind, subject, incident.pattern, incident.source, happened_at, max(known_at, happened_at + LABEL_DELAY)
            )
            for kind, subject, happened_at in _subjects(incident, occurred_at)
        )
    for dispute in disputes:
        if dispute["state"] == "won":
            opened_at = dispute["opened_at"]
            known_at = opened_at + timedelta(days=28, minutes=random.randrange(0, 900))
            rows.append(_label(random, "dispute", dispute["dispute_id"], None, "chargeback", opened_at, known_at))
    return tuple(sorted((row for row in rows if row["known_at"] < as_of), key=lambda row: (row["known_at"], row["label_id"])))


def _subjects(incident: Incident, occurred_at: Mapping[str, datetime]) -> Iterator[tuple[str, str, datetime]]:
    for transaction_id in incident.transaction_ids:
        yield "transaction", transaction_id, occurred_at[transaction_id]
    for beneficiary_id in incident.beneficiary_ids:
        yield "beneficiary", beneficiary_id, occurred_at[beneficiary_id]
    for dispute_id in incident.dispute_ids:
        yield "dispute", dispute_id, incident.ended_at


def _label(
    random: Random, kind: str, subject_id: str, pattern: str | None, source: str, happened_at: datetime, known_at: datetime
) -> dict[str, Any]:
    row = {
        "label_id": record_id(random, "lbl"),
        "subject_kind": kind,
        "subject_id": subject_id,
        "label": "fraud" if pattern else "legitimate",
        "source": source,
        "occurred_at": happened_at,
        "known_at": known_at,
    }
    return row | {"pattern": pattern} if pattern else row


def make_screening(random: Random, beneficiaries: Iterable[Beneficiary], as_of: datetime) -> dict[str, str]:
    """Invent what an earlier screening said of each payee: mostly clear; one that was just added is not screened yet."""
    return {
        payee.beneficiary_id: random.choices(("clear", "review", "hit"), (960, 30, 10))[0]
        for payee in beneficiaries
        if payee.added_at < as_of - _SCREENED_AFTER
    }
