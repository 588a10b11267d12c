"""What breaks from the usual: the payment that an act is about, beside the baselines of its customer and merchant. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gates.facts import BaselineFacts
from gates.score.baselines import NO_HISTORY, Baselines, Observation, flag

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_TEXT = 256


@dataclass(frozen=True, slots=True)
class Usual:
    """Hold what is in force, None where nothing is."""

    customer: Baselines | None
    merchant: Baselines | None


@dataclass(frozen=True, slots=True)
class Payment:
    """Hold whose payment it is. Without a merchant nothing is held against a merchant's baseline."""

    customer_id: str
    merchant_id: str | None
    currency: str


def find_flags(row: Mapping[str, object] | None, payment: Payment, usual: Usual) -> BaselineFacts | None:
    """Return how many features break from the usual, and why; None where there is no baseline or no payment to look at.

    `row` is one of `core.observe_usual`. Somebody of whom nothing is known breaks from nothing: others look at who is new.
    """
    if row is None or (usual.customer is None and usual.merchant is None):
        return None
    by_customer = _flag(usual.customer, row, f"{payment.customer_id}:{payment.currency}", payment.currency)
    by_merchant = (
        () if payment.merchant_id is None else _flag(usual.merchant, _of_merchant(row), payment.merchant_id, payment.currency)
    )
    return BaselineFacts(
        customer_flags_count=len(by_customer),
        merchant_flags_count=len(by_merchant),
        reasons=",".join((*by_customer, *by_merchant))[:_MAX_TEXT],
        refs=",".join(baselines.ref.rpartition(":")[2][:12] for baselines in (usual.customer, usual.merchant) if baselines),
    )


def _flag(baselines: Baselines | None, row: Mapping[str, object], entity: str, group: str) -> tuple[str, ...]:
    if baselines is None:
        return ()
    values = {feature.name: _whole(row.get(feature.name)) for feature in baselines.features}
    reasons = flag(baselines, Observation(entity, group, _EPOCH, values))
    return tuple(reason for reason in reasons if reason != NO_HISTORY)


def _of_merchant(row: Mapping[str, object]) -> dict[str, object]:
    prefix = "merchant_"
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}


def _whole(value: object) -> int:
    """Return an integer; what is none breaks from everything usual."""
    return value if type(value) is int else 2**53 - 1
