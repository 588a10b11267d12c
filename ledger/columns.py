"""Requests and answers as the database takes and gives them: by column, each account once and named by its place from 1.

A call's requests travel as one value of `ledger.request_batch`, packed here in PostgreSQL's binary form: psycopg dumps lists
element by element in Python, which takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, make_dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from struct import Struct
from typing import Any, Final

from psycopg import Connection, DataError, postgres
from psycopg.adapt import Dumper
from psycopg.pq import Format

from domain.clock import NaiveTime
from domain.errors import BrokenInvariant
from domain.transfer import MAX_AMOUNT_MINOR, Balancing, ResultCode, TransferCode, TransferKind, TransferRequest, TransferResult

KIND_NUMBERS = {kind: number for number, kind in enumerate(TransferKind, start=1)}
BALANCING_FLAGS = {None: 0, Balancing.DEBIT: 2, Balancing.CREDIT: 4}

_RESULT_CODES = dict(enumerate(ResultCode, start=1))
_REFUSED_CODES: dict[Any, ResultCode | None] = {None: None} | dict(_RESULT_CODES)

# As `record_send` and `array_send` write them: lengths and numbers big-endian, every value behind its length in bytes.
_pack_length = Struct(">i").pack
_pack_int4 = Struct(">i").pack
_pack_int8 = Struct(">q").pack
_pack_short_element = Struct(">ih").pack
_pack_long_element = Struct(">iq").pack
# Array type, length; then of the array: dimensions, whether there may be NULLs, element type, elements, lower bound.
_pack_column_head = Struct(">IiiiIii").pack
_ARRAY_HEAD_LENGTH = 20
_NULL: Final = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_KIND_ELEMENTS = {kind: _pack_short_element(2, number) for kind, number in KIND_NUMBERS.items()}
_CODE_ELEMENTS = {code: _pack_short_element(2, code) for code in TransferCode}
_FLAG_ELEMENTS = {
    (linked, balancing): _pack_short_element(2, linked | BALANCING_FLAGS[balancing])
    for linked, balancing in product((False, True), BALANCING_FLAGS)
}

# A frozen dataclass sets its fields one by one through `object.__setattr__`: that is four times the cost of filling an open one
# with the same slots and letting it become the frozen one.
_OpenResult: Any = make_dataclass("_OpenResult", [(one.name, Any) for one in fields(TransferResult)], slots=True)


class UnreadableAnswer(BrokenInvariant):
    """Say that the database's functions and this program do not belong together."""

    code = "unreadable_answer"


@dataclass(frozen=True, slots=True)
class RequestBatch:
    """Hold requests as `ledger.request_batch` in binary form. The query names the type: `%(batch)s::ledger.request_batch`."""

    payload: bytes


class _RequestBatchDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: RequestBatch) -> bytes:
        return obj.payload


def flags_of(request: TransferRequest) -> int:
    """Return the stored flags: 1 linked to the next, 2 and 4 balancing the debit or credit side."""
    return (1 if request.linked else 0) | BALANCING_FLAGS[request.balancing]


def fit_column(amount_minor: int) -> int:
    """Bring an amount that no column holds to the nearest one that gets the same code."""
    return max(-1, min(amount_minor, MAX_AMOUNT_MINOR + 1))


def ask_by_column(
    connection: Connection[Any], query: str, requests: Sequence[TransferRequest], *, now: datetime, **parameters: object
) -> list[TransferResult]:
    """Run a query over `%(batch)s` and `%(now)s`; one answer each, in the requests' order. There is at least one request.

    Raises: UnreadableAnswer, psycopg.Error, and what `lay_out` raises, before anything is sent.
    """
    # On the connection, not on psycopg as a whole: connections that were opened before this module was imported know it too.
    connection.adapters.register_dumper(RequestBatch, _RequestBatchDumper)
    values: Mapping[str, object] = {**parameters, "batch": lay_out(requests), "now": now}
    row = connection.execute(query, values, binary=True, prepare=True).fetchone()
    return read_answers(requests, row, now=now)


def lay_out(requests: Sequence[TransferRequest]) -> RequestBatch:
    """Turn requests, at least one, into the columns of `ledger.request_batch`.

    Raises: NaiveTime, psycopg.DataError for a NUL in a text, TypeError and the like for values of other types than the fields'.
    """
    debits, credits_, accounts, currencies = _number_accounts(requests)
    amounts = [request.amount_minor for request in requests]
    if set(map(type, amounts)) != {int}:
        # `struct` would take True for 1.
        raise TypeError("an amount is an integer number of minor units")
    if min(amounts) < -1 or max(amounts) > MAX_AMOUNT_MINOR + 1:
        amounts = [fit_column(amount) for amount in amounts]
    many = len(requests)
    columns = (
        ("uuid", many, _join(16, [request.transfer_id.int.to_bytes(16, "big") for request in requests])),
        ("int2", many, b"".join([_KIND_ELEMENTS[request.kind] for request in requests])),
        ("int4", many, _join(4, map(_pack_int4, debits))),
        ("int4", many, _join(4, map(_pack_int4, credits_))),
        ("int8", many, _join(8, map(_pack_int8, amounts))),
        ("int2", many, b"".join([_CODE_ELEMENTS[request.code] for request in requests])),
        ("timestamptz", many, _pack_moments([request.occurred_at for request in requests])),
        ("uuid", many, _pack_targets(requests)),
        ("timestamptz", many, _pack_moments([request.hold_expires_at for request in requests])),
        ("int2", many, b"".join([_FLAG_ELEMENTS[request.linked, request.balancing] for request in requests])),
        ("text", len(accounts), _pack_texts(accounts)),
        ("text", len(accounts), _pack_texts(currencies)),
    )
    parts = [_pack_length(len(columns))]
    for type_name, count, elements in columns:
        info = postgres.types[type_name]
        parts.append(_pack_column_head(info.array_oid, _ARRAY_HEAD_LENGTH + len(elements), 1, 1, info.oid, count, 1))
        parts.append(elements)
    return RequestBatch(b"".join(parts))


def read_answers(requests: Sequence[TransferRequest], row: Sequence[Any] | None, *, now: datetime) -> list[TransferResult]:
    """Turn the columns of `ledger.result_batch` into one answer each, in their order. Raises: UnreadableAnswer.

    A column but the codes may be NULL as a whole when it is NULL in every row. Accepted without a time means at `now`.
    """
    if row is None or row[0] is None:
        raise UnreadableAnswer("the ledger did not answer")
    codes: list[int] = row[0]
    nothing = [None] * len(requests)
    refused, *values, recorded = (nothing if column is None else column for column in row[1:])
    if any(len(column) != len(requests) for column in (codes, refused, *values, recorded)):
        raise UnreadableAnswer("the ledger did not answer every request")
    try:
        named = [_RESULT_CODES[code] for code in codes]
        named_refused = [_REFUSED_CODES[code] for code in refused]
    except KeyError as error:
        raise UnreadableAnswer(f"the ledger answered with a code that there is not: {error}") from None
    if None in recorded:
        accepted = ResultCode.ACCEPTED
        recorded = [now if at is None and code is accepted else at for at, code in zip(recorded, named, strict=True)]
    answers: list[Any] = list(
        map(_OpenResult, [request.transfer_id for request in requests], named, named_refused, *values, recorded)
    )
    for answer in answers:
        answer.__class__ = TransferResult
    return answers


def _number_accounts(requests: Sequence[TransferRequest]) -> tuple[list[int], list[int], list[str], list[str]]:
    """Return each request's two places, and the code and currency of each place."""
    places: dict[Any, int] = {}
    currency = requests[0].currency
    if [request.currency for request in requests].count(currency) == len(requests):
        # A dictionary of codes takes half the time of one of pairs, and most batches are in one currency.
        debits = [places.setdefault(request.debit, len(places) + 1) for request in requests]
        credits_ = [places.setdefault(request.credit, len(places) + 1) for request in requests]
        return debits, credits_, list(places), [currency] * len(places)
    debits = [places.setdefault((request.debit, request.currency), len(places) + 1) for request in requests]
    credits_ = [places.setdefault((request.credit, request.currency), len(places) + 1) for request in requests]
    return debits, credits_, [code for code, _ in places], [currency for _, currency in places]


def _join(size: int, payloads: Iterable[bytes]) -> bytes:
    length = _pack_length(size)
    return length + length.join(payloads)


def _pack_targets(requests: Sequence[TransferRequest]) -> bytes:
    targets = [request.target_id for request in requests]
    if targets.count(None) == len(targets):
        return _NULL * len(targets)
    return b"".join([_NULL if target is None else _join(16, [target.bytes]) for target in targets])


def _pack_moments(moments: Sequence[datetime | None]) -> bytes:
    """Pack times; a batch that was made in one go shares one."""
    # By identity: equal times of one zone can be an hour apart, when the clocks go back.
    if len(set(map(id, moments))) == 1:
        return _pack_moment(moments[0]) * len(moments)
    return b"".join([_pack_moment(moment) for moment in moments])


def _pack_moment(moment: datetime | None) -> bytes:
    if moment is None:
        return _NULL
    try:
        return _pack_long_element(8, (moment - _EPOCH) // _MICROSECOND)
    except TypeError as error:
        # PostgreSQL would read it in the session's time zone.
        raise NaiveTime("times of a request are aware UTC") from error


def _pack_texts(texts: Sequence[str]) -> bytes:
    if "\0" in "".join(texts):
        # As psycopg does for a single text: before the server ends the caller's transaction over it.
        raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    if texts.count(texts[0]) == len(texts):
        return _pack_text(texts[0]) * len(texts)
    return b"".join([_pack_length(len(raw)) + raw for raw in map(str.encode, texts)])


def _pack_text(text: str) -> bytes:
    raw = text.encode()
    return _pack_length(len(raw)) + raw
