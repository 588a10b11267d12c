"""Requests packed for the database, and its answers read: what is refused, what stands for what, and what a result is."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from psycopg import DataError

from domain.clock import NaiveTime
from domain.transfer import MAX_AMOUNT_MINOR, Balancing, ResultCode, TransferCode, TransferKind, TransferRequest, TransferResult
from ledger.columns import UnreadableAnswer, lay_out, read_answers

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_EARLIER = _NOW - timedelta(days=1)
_ACCEPTED, _LIMIT, _BEFORE, _ALREADY = (
    list(ResultCode).index(code) + 1
    for code in (ResultCode.ACCEPTED, ResultCode.LIMIT_EXCEEDED, ResultCode.REFUSED_BEFORE, ResultCode.ALREADY_ACCEPTED)
)


def make_request(number: int = 1, **changes: Any) -> TransferRequest:
    """EUR 1.00 from Alice to Bob."""
    request = TransferRequest(
        UUID(int=number), TransferKind.POSTED, "customer:alice", "customer:bob", 100, "EUR", TransferCode.PAYMENT, _NOW
    )
    return replace(request, **changes)


_THREE = [make_request(number) for number in (1, 2, 3)]


def read(*columns: Any) -> list[TransferResult]:
    """Read the answers to the three requests."""
    return read_answers(_THREE, columns, now=_NOW)


# Packing: `tests/property/ledger/test_columns.py` shows that any requests come back as they were.


def test_the_bytes_are_those_of_the_format() -> None:
    request = make_request(
        0x0192F8A0_00007000_80000000_0000AB01,
        kind=TransferKind.PENDING,
        credit="customer:zoë",
        linked=True,
        balancing=Balancing.CREDIT,
    )
    microseconds = (1_772_366_400 - 946_684_800) * 1_000_000
    expected = [
        "0000000c",
        *_array("00000b87", "00000b86", "00000010 0192f8a0000070008000 00000000ab01"),
        *_array("000003ed", "00000015", "00000002 0002"),
        *_array("000003ef", "00000017", "00000004 00000001"),
        *_array("000003ef", "00000017", "00000004 00000002"),
        *_array("000003f8", "00000014", "00000008 0000000000000064"),
        *_array("000003ed", "00000015", "00000002 0005"),
        *_array("000004a1", "000004a0", f"00000008 {microseconds:016x}"),
        *_array("00000b87", "00000b86", "ffffffff"),
        *_array("000004a1", "000004a0", "ffffffff"),
        *_array("000003ed", "00000015", "00000002 0005"),
        *_array(
            "000003f1", "00000019", "0000000e" + b"customer:alice".hex() + "0000000d" + "customer:zoë".encode().hex(), count=2
        ),
        *_array("000003f1", "00000019", "00000003455552" * 2, count=2),
    ]
    assert lay_out([request]).payload.hex() == "".join(expected).replace(" ", "")


def _array(array_type: str, element_type: str, elements: str, *, count: int = 1) -> list[str]:
    length = 20 + len(bytes.fromhex(elements))
    return [array_type, f"{length:08x}", "00000001", "00000001", element_type, f"{count:08x}", "00000001", elements]


@pytest.mark.parametrize("amount_minor", [2**53 + 1, 2**63, 2**80])
def test_an_amount_that_no_column_holds_travels_as_the_next_one_that_is_out_of_range(amount_minor: int) -> None:
    assert lay_out([make_request(amount_minor=amount_minor)]) == lay_out([make_request(amount_minor=MAX_AMOUNT_MINOR + 1)])
    assert lay_out([make_request(amount_minor=-amount_minor)]) == lay_out([make_request(amount_minor=-1)])


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold) for fold in (0, 1))
    assert first == second
    zulu = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert lay_out([make_request(occurred_at=first), make_request(occurred_at=second)]) == lay_out(
        [make_request(occurred_at=zulu), make_request(occurred_at=zulu + timedelta(hours=1))]
    )


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("name", ["occurred_at", "hold_expires_at"])
def test_a_time_without_a_zone_is_refused_and_not_read_in_the_servers(name: str, others: int) -> None:
    changes: dict[str, Any] = {name: _NOW.replace(tzinfo=None)}
    with pytest.raises(NaiveTime, match="aware UTC"):
        lay_out([make_request(hold_expires_at=_NOW)] * others + [make_request(**changes)])


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("amount_minor", 1.0, TypeError), ("amount_minor", True, TypeError), ("amount_minor", "1", TypeError),
        ("transfer_id", "1", AttributeError), ("target_id", "1", AttributeError), ("debit", b"customer:alice", TypeError),
        ("debit", "a\0b", DataError), ("credit", "\ud800", UnicodeEncodeError), ("currency", "E\0R", DataError),
        ("currency", 978, TypeError), ("kind", "nothing", KeyError), ("code", 999, KeyError), ("linked", 2, KeyError),
        ("balancing", "both", KeyError),
    ],
)  # fmt: skip
@pytest.mark.parametrize("others", [0, 1])
def test_a_value_of_another_type_is_not_packed_as_something_else(name: str, value: Any, error: Any, others: int) -> None:
    with pytest.raises(error):
        lay_out([make_request()] * others + [make_request(**{name: value})])


# Reading.


def test_columns_are_read_in_the_order_of_the_requests() -> None:
    codes, refused = [_ACCEPTED, _BEFORE, _ALREADY], [None, _LIMIT, None]
    answers = read(
        codes, refused, [100, None, 7], [1, None, 2], [3, None, 4], [-5, None, None], [6, None, 8], [_NOW, None, _EARLIER]
    )
    assert answers == [
        TransferResult(UUID(int=1), ResultCode.ACCEPTED, None, 100, 1, 3, -5, 6, _NOW),
        TransferResult(UUID(int=2), ResultCode.REFUSED_BEFORE, ResultCode.LIMIT_EXCEEDED),
        TransferResult(UUID(int=3), ResultCode.ALREADY_ACCEPTED, None, 7, 2, 4, None, 8, _EARLIER),
    ]


def test_accepted_without_a_time_is_accepted_now_and_nothing_else_is() -> None:
    values = [[1, None, 1]] * 5
    answers = read([_ACCEPTED, _LIMIT, _ALREADY], [None] * 3, *values, [None, None, _EARLIER])
    assert [answer.recorded_at for answer in answers] == [_NOW, None, _EARLIER]


def test_a_column_may_be_null_as_a_whole() -> None:
    assert read([_LIMIT] * 3, *[None] * 7) == [
        TransferResult(UUID(int=number), ResultCode.LIMIT_EXCEEDED) for number in (1, 2, 3)
    ]
    assert [answer.recorded_at for answer in read([_ACCEPTED] * 3, None, *[[1] * 3] * 5, None)] == [_NOW] * 3


def test_an_answer_that_does_not_fit_the_requests_is_refused() -> None:
    nothing, seven = [None] * 3, [[None] * 3] * 7
    unfit: list[tuple[Any, ...]] = [
        (None, *seven),
        ([_LIMIT] * 2, *seven),
        *(([_LIMIT] * 3, *[nothing] * place, [None] * 2, *[nothing] * (6 - place)) for place in range(7)),
        ([_LIMIT] * 3, [None] * 4, *[nothing] * 6),
        ([_LIMIT, None, _LIMIT], *seven),
        ([_LIMIT, 0, _LIMIT], *seven),
        ([_LIMIT, _ACCEPTED + 1, _LIMIT], *seven),
        ([_LIMIT] * 3, [None, 0, None], *[nothing] * 6),
    ]
    for columns in unfit:
        with pytest.raises(UnreadableAnswer):
            read(*columns)
    with pytest.raises(UnreadableAnswer):
        read_answers(_THREE, None, now=_NOW)


def test_a_read_answer_is_a_result_like_any_other() -> None:
    (answer, *_) = read([_ACCEPTED] * 3, [None] * 3, *[[1] * 3] * 5, [_NOW] * 3)
    same = TransferResult(UUID(int=1), ResultCode.ACCEPTED, None, 1, 1, 1, 1, 1, _NOW)
    assert type(answer) is TransferResult
    assert (answer, hash(answer), repr(answer)) == (same, hash(same), repr(same))
    assert pickle.loads(pickle.dumps(answer)) == same
    assert replace(answer, amount_minor=2) == replace(same, amount_minor=2)
    with pytest.raises(FrozenInstanceError):
        answer.amount_minor = 2  # type: ignore[misc]
    assert not hasattr(answer, "__dict__")
