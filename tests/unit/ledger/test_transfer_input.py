"""Reading transfer requests from JSON: what is wrong is named, with its place, and no value is repeated."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from domain.transfer import Balancing, TransferCode, TransferKind, TransferRequest
from domain.transfer_input import InvalidTransfer, parse_transfer_request, parse_transfer_requests, require_well_typed

_ID = "0192f8a0-0000-7000-8000-000000000001"
_FIELDS: dict[str, Any] = {
    "transfer_id": _ID, "kind": "posted", "debit": "house:bank:main", "credit": "customer:alice", "amount_minor": 100,
    "currency": "EUR", "code": "refund", "occurred_at": "2026-03-01T12:00:00Z",
}  # fmt: skip
_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_request_as_it_stands_in_json() -> None:
    fields = json.loads(json.dumps(_FIELDS))
    assert parse_transfer_request(fields) == TransferRequest(
        UUID(_ID), TransferKind.POSTED, "house:bank:main", "customer:alice", 100, "EUR", TransferCode.REFUND, _NOW
    )


def test_every_optional_field() -> None:
    fields = {
        **_FIELDS,
        "transfer_id": "tfr_0192f8a0000070008000000000000001",
        "kind": "pending",
        "occurred_at": _NOW,
        "target_id": _ID,
        "hold_expires_at": "2026-03-01T14:00:00+01:00",
        "linked": True,
        "balancing": "debit",
    }
    request = parse_transfer_request(fields)
    assert (request.transfer_id, request.target_id, request.linked, request.balancing) == (
        UUID(_ID), UUID(_ID), True, Balancing.DEBIT,
    )  # fmt: skip
    assert request.hold_expires_at == datetime(2026, 3, 1, 13, tzinfo=UTC)
    assert parse_transfer_request({**_FIELDS, "target_id": None, "linked": None}).target_id is None


@pytest.mark.parametrize("amount_minor", [0, -1, 2**53, 2**63, -(2**64)])
def test_any_integer_is_an_amount_that_the_ledger_will_name(amount_minor: int) -> None:
    assert parse_transfer_request({**_FIELDS, "amount_minor": amount_minor}).amount_minor == amount_minor


@pytest.mark.parametrize("text", ["1.0", "1e2", "NaN", "Infinity", '"100"', "true", "[1]", "{}", '""', "1.5"])
def test_what_is_no_integer_is_refused(text: str) -> None:
    with pytest.raises(InvalidTransfer, match=r"^amount_minor: expected an integer number of minor units, got \w+$"):
        parse_transfer_request({**_FIELDS, "amount_minor": json.loads(text)})


_WRONG: list[tuple[str, Any]] = [
    ("transfer_id", "secret"),
    ("transfer_id", 7),
    ("transfer_id", "{0192f8a0-0000-7000-8000-000000000001}"),
    ("transfer_id", "tfr_0192f8a00000"),
    ("transfer_id", "txn_0192f8a0000070008000000000000001"),
    ("kind", "secret"),
    ("kind", 1),
    ("debit", "secret"),
    ("debit", "customer:secret|EUR"),
    ("credit", "customer:secret secret"),
    ("credit", "customer:" + "secret" * 40),
    ("credit", ["customer:secret"]),
    ("currency", "eur"),
    ("currency", "EURO"),
    ("currency", 978),
    ("code", 1),
    ("code", "REFUND"),
    ("code", "secret"),
    ("occurred_at", "secret"),
    ("occurred_at", "2026-03-01T12:00:00"),
    ("occurred_at", datetime(2026, 3, 1)),  # noqa: DTZ001
    ("occurred_at", 1_772_366_400),
    ("target_id", "secret"),
    ("hold_expires_at", "secret"),
    ("linked", "true"),
    ("linked", 1),
    ("balancing", "secret"),
    ("balancing", False),
]


@pytest.mark.parametrize(("name", "value"), _WRONG, ids=lambda value: str(value)[:24])
def test_a_field_of_the_wrong_shape_is_named_with_its_place(name: str, value: Any) -> None:
    with pytest.raises(InvalidTransfer) as caught:
        parse_transfer_requests([_FIELDS, {**_FIELDS, name: value}])
    assert caught.value.message.startswith(f"requests[1].{name}: ")
    assert "secret" not in caught.value.message
    assert caught.value.code == "invalid_transfer"


@pytest.mark.parametrize("name", list(_FIELDS))
def test_a_missing_field_is_named(name: str) -> None:
    for fields in ({key: value for key, value in _FIELDS.items() if key != name}, {**_FIELDS, name: None}):
        with pytest.raises(InvalidTransfer, match=rf"^{name}: missing$"):
            parse_transfer_request(fields)


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(InvalidTransfer, match=r"^amount: there is no such field$"):
        parse_transfer_request({**_FIELDS, "amount": 5})


@pytest.mark.parametrize("items", ["[]", b"[]", {"a": 1}, None, 7])
def test_a_list_is_expected(items: Any) -> None:
    with pytest.raises(InvalidTransfer, match=r"^requests: expected a list, got "):
        parse_transfer_requests(items)


@pytest.mark.parametrize("item", ["x", None, 7, []])
def test_an_object_is_expected(item: Any) -> None:
    with pytest.raises(InvalidTransfer, match=r"^requests\[0\]: expected an object, got "):
        parse_transfer_requests([item])


_LONDON = ZoneInfo("Europe/London")
_HOUR = timezone(timedelta(hours=1))


@pytest.mark.parametrize("name", ["occurred_at", "hold_expires_at"])
@pytest.mark.parametrize(
    ("moment", "is_utc"),
    [
        (_NOW, True), (_NOW.replace(tzinfo=timezone(timedelta(0))), True), (_NOW.replace(tzinfo=ZoneInfo("UTC")), True),
        (_NOW.replace(tzinfo=_LONDON), True), (_NOW.replace(month=7, tzinfo=_LONDON), False), (_NOW.replace(tzinfo=_HOUR), False),
        (_NOW.replace(tzinfo=None), False), (_NOW.date(), False), ("2026-03-01T12:00:00Z", False), (1_772_366_400, False),
    ],
)  # fmt: skip
def test_a_time_is_in_utc_whatever_its_zone_is_called(name: str, moment: Any, is_utc: bool) -> None:
    changes: dict[str, Any] = {name: moment}
    request = parse_transfer_request(_FIELDS)
    if is_utc:
        require_well_typed([request, replace(request, **changes)])
    else:
        with pytest.raises(InvalidTransfer, match=rf"^requests\[1\]\.{name}: expected a time in UTC$"):
            require_well_typed([request, replace(request, **changes)])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount_minor", 1.5), ("amount_minor", True), ("amount_minor", "10"), ("transfer_id", _ID), ("kind", "posted"),
        ("code", 1), ("debit", None), ("credit", b"customer:alice"), ("currency", 978), ("linked", 1), ("target_id", _ID),
        ("balancing", "debit"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_named_with_its_place(name: str, value: Any) -> None:
    request = parse_transfer_request(_FIELDS)
    changes: dict[str, Any] = {name: value}
    with pytest.raises(InvalidTransfer, match=rf"^requests\[1\]\.{name}: expected \w+, got \w+$"):
        require_well_typed([request, replace(request, **changes)])
