"""Requests and answers as the database takes and gives them: by column, each account once and named by its place from 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.errors import BrokenInvariant
from domain.transfer import MAX_AMOUNT_MINOR, Balancing, ResultCode, TransferKind, TransferRequest, TransferResult

KIND_NUMBERS = {kind: number for number, kind in enumerate(TransferKind, start=1)}
BALANCING_FLAGS = {None: 0, Balancing.DEBIT: 2, Balancing.CREDIT: 4}
_RESULT_CODES = tuple(ResultCode)


class UnreadableAnswer(BrokenInvariant):
    """Say that the database's functions and this program do not belong together."""

    code = "unreadable_answer"


def flags_of(request: TransferRequest) -> int:
    """Return the stored flags: 1 linked to the next, 2 and 4 balancing the debit or credit side."""
    return (1 if request.linked else 0) | BALANCING_FLAGS[request.balancing]


def fit_column(amount_minor: int) -> int:
    """Bring an amount that no column holds to the nearest one that gets the same code."""
    return max(-1, min(amount_minor, MAX_AMOUNT_MINOR + 1))


def lay_out(requests: Sequence[TransferRequest]) -> dict[str, list[Any]]:
    """Turn requests into the columns of `ledger.request_batch`."""
    places: dict[tuple[str, str], int] = {}
    debits = [places.setdefault((request.debit, request.currency), len(places) + 1) for request in requests]
    credits_ = [places.setdefault((request.credit, request.currency), len(places) + 1) for request in requests]
    return {
        "ids": [request.transfer_id for request in requests],
        "kinds": [KIND_NUMBERS[request.kind] for request in requests],
        "debits": debits,
        "credits": credits_,
        "amounts": [fit_column(request.amount_minor) for request in requests],
        "codes": [int(request.code) for request in requests],
        "occurred_at": [request.occurred_at for request in requests],
        "targets": [request.target_id for request in requests],
        "expiries": [request.hold_expires_at for request in requests],
        "flags": [flags_of(request) for request in requests],
        "accounts": [code for code, _ in places],
        "currencies": [currency for _, currency in places],
    }


def read_answers(requests: Sequence[TransferRequest], row: Sequence[Any] | None) -> list[TransferResult]:
    """Turn the columns of `ledger.result_batch` into one answer each, in their order. Raises: UnreadableAnswer."""
    if row is None or row[0] is None or len(row[0]) != len(requests):
        raise UnreadableAnswer("the ledger did not answer every request")
    codes, refused, *values = row
    return [
        TransferResult(request.transfer_id, _RESULT_CODES[code - 1], None if was is None else _RESULT_CODES[was - 1], *stored)
        for request, code, was, *stored in zip(requests, codes, refused, *values, strict=True)
    ]
