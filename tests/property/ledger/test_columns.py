"""Any requests, packed for the database, are read back by psycopg's own loaders as the plain lists they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from psycopg import postgres
from psycopg.types.composite import RecordBinaryLoader

from domain.transfer import Balancing, TransferCode, TransferKind, TransferRequest
from ledger.columns import KIND_NUMBERS, fit_column, flags_of, lay_out

# Where clocks go back an hour, two equal times of one zone are not the same moment.
_BERLIN = ZoneInfo("Europe/Berlin")
_MOMENTS = st.one_of(
    st.sampled_from([datetime(2026, 10, 25, 2, 30, tzinfo=_BERLIN, fold=fold) for fold in (0, 1)]),
    st.datetimes(datetime(1800, 1, 1), datetime(3000, 1, 1), timezones=st.sampled_from([UTC, _BERLIN])),  # noqa: DTZ001 - its way
)
_SAME_MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
_TEXTS = st.one_of(
    st.sampled_from(["customer:alice", "house:bank:main", ""]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
)
_CURRENCIES = st.sampled_from(["EUR", "USD", "€"])
_AMOUNTS = st.one_of(st.integers(-2, 2**53 + 1), st.integers(-(2**70), 2**70), st.integers(1, 1000))
_REQUESTS = st.builds(
    TransferRequest,
    transfer_id=st.uuids(),
    kind=st.sampled_from(TransferKind),
    debit=_TEXTS,
    credit=_TEXTS,
    amount_minor=_AMOUNTS,
    currency=_CURRENCIES,
    code=st.sampled_from(TransferCode),
    occurred_at=st.one_of(st.just(_SAME_MOMENT), _MOMENTS),
    target_id=st.none() | st.uuids(),
    hold_expires_at=st.none() | st.just(_SAME_MOMENT) | _MOMENTS,
    linked=st.booleans(),
    balancing=st.none() | st.sampled_from(Balancing),
)
_PLAIN_REQUESTS = st.builds(
    TransferRequest,
    transfer_id=st.uuids(),
    kind=st.just(TransferKind.POSTED),
    debit=_TEXTS,
    credit=_TEXTS,
    amount_minor=st.integers(1, 1000),
    currency=st.just("EUR"),
    code=st.just(TransferCode.PAYMENT),
    occurred_at=st.just(_SAME_MOMENT),
)
_BATCHES = st.lists(_REQUESTS, min_size=1, max_size=8) | st.lists(_PLAIN_REQUESTS, min_size=1, max_size=8)


def lay_out_plainly(requests: Sequence[TransferRequest]) -> list[list[Any]]:
    """Make the columns of `ledger.request_batch` in the most obvious way."""
    places: list[tuple[str, str]] = []
    for side in ("debit", "credit"):
        for request in requests:
            if (getattr(request, side), request.currency) not in places:
                places.append((getattr(request, side), request.currency))
    return [
        [request.transfer_id for request in requests],
        [KIND_NUMBERS[request.kind] for request in requests],
        [places.index((request.debit, request.currency)) + 1 for request in requests],
        [places.index((request.credit, request.currency)) + 1 for request in requests],
        [fit_column(request.amount_minor) for request in requests],
        [int(request.code) for request in requests],
        [request.occurred_at.astimezone(UTC) for request in requests],
        [request.target_id for request in requests],
        [request.hold_expires_at and request.hold_expires_at.astimezone(UTC) for request in requests],
        [flags_of(request) for request in requests],
        [code for code, _ in places],
        [currency for _, currency in places],
    ]


@given(_BATCHES)
def test_packed_columns_load_as_the_plain_ones(requests: list[TransferRequest]) -> None:
    loaded = RecordBinaryLoader(postgres.types["record"].oid).load(lay_out(requests).payload)
    assert list(loaded) == lay_out_plainly(requests)
