"""What goes over the wire between us and an outside ledger: the value types as JSON, read back strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import TypeAdapter

from domain.clock import render_time
from domain.errors import InvalidInput
from domain.transfer import TransferCode, TransferRequest, TransferResult
from ledger.port import AccountBalance, StatementLine, Transfer

_T = TypeVar("_T")
_RESULTS = TypeAdapter(list[TransferResult])
_BALANCE = TypeAdapter(AccountBalance)
_TRANSFER = TypeAdapter(Transfer)
_LINES = TypeAdapter(list[StatementLine])
_CODES = {code.name.lower(): int(code) for code in TransferCode}


class UnreadableAnswer(InvalidInput):
    """Say that an answer is not what the protocol says."""

    code = "unreadable_answer"


def render_request(request: TransferRequest) -> dict[str, Any]:
    """Write a request; `domain.transfer_input` reads it."""
    fields = {name: value for name, value in asdict(request).items() if value is not None}
    fields |= {"transfer_id": str(request.transfer_id), "code": request.code.name.lower()}
    fields["occurred_at"] = render_time(request.occurred_at)
    if request.target_id is not None:
        fields["target_id"] = str(request.target_id)
    if request.hold_expires_at is not None:
        fields["hold_expires_at"] = render_time(request.hold_expires_at)
    return fields


def render_results(results: Sequence[TransferResult]) -> list[dict[str, Any]]:
    """Write results, one for each request, in their order."""
    return [dict(one) for one in _RESULTS.dump_python(list(results), mode="json")]


def render_balance(balance: AccountBalance) -> dict[str, Any]:
    """Write a balance."""
    return dict(_BALANCE.dump_python(balance, mode="json"))


def render_transfer(transfer: Transfer) -> dict[str, Any]:
    """Write a transfer; its code goes by name, as in a request."""
    return {**_TRANSFER.dump_python(transfer, mode="json"), "code": transfer.code.name.lower()}


def render_lines(lines: Sequence[StatementLine]) -> list[dict[str, Any]]:
    """Write lines of a statement; codes go by name, as in a request."""
    written = _LINES.dump_python(list(lines), mode="json")
    return [{**fields, "code": line.code.name.lower()} for fields, line in zip(written, lines, strict=True)]


def parse_results(body: Mapping[str, Any], requests: Sequence[TransferRequest]) -> list[TransferResult]:
    """Read the results of these very requests. Raises: UnreadableAnswer."""
    results = _read(_RESULTS, body.get("results"))
    if [result.transfer_id for result in results] != [request.transfer_id for request in requests]:
        raise UnreadableAnswer("the results are not those of the requests, in their order")
    return results


def parse_balance(body: Mapping[str, Any], code: str, currency: str) -> AccountBalance:
    """Read the balance of this very account. Raises: UnreadableAnswer."""
    balance = _read(_BALANCE, dict(body))
    if (balance.code, balance.currency) != (code, currency):
        raise UnreadableAnswer("the balance is another account's")
    return balance


def parse_transfer(body: Mapping[str, Any]) -> Transfer:
    """Read a transfer. Raises: UnreadableAnswer."""
    return _read(_TRANSFER, _with_code(body))


def parse_lines(body: Mapping[str, Any], *, after: int | None) -> list[StatementLine]:
    """Read a page of a statement, which goes up from its cursor. Raises: UnreadableAnswer."""
    given = body.get("lines")
    lines = _read(_LINES, [_with_code(line) for line in given] if isinstance(given, list) else given)
    versions = [line.version for line in lines]
    if versions != sorted(set(versions)) or (versions and after is not None and versions[0] <= after):
        raise UnreadableAnswer("the lines do not go up from the cursor")
    return lines


def _with_code(fields: object) -> dict[str, Any]:
    if not isinstance(fields, Mapping):
        raise UnreadableAnswer("expected an object")
    return {**fields, "code": _CODES.get(str(fields.get("code")), fields.get("code"))}


def _read(adapter: TypeAdapter[_T], value: object) -> _T:
    # Through JSON: strict there still takes texts for ids and times, and never a fraction for an amount.
    try:
        return adapter.validate_json(json.dumps(value), strict=True)
    except ValueError as error:
        raise UnreadableAnswer(f"an answer that the protocol does not know: {type(error).__name__}") from None
