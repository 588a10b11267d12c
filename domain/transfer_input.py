"""From what a caller sent to transfer requests. Says what is wrong and where; whether the request makes sense is the ledger's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from domain.clock import NaiveTime, parse_time
from domain.errors import InvalidInput
from domain.ids import is_id, uuid_of
from domain.transfer import Balancing, TransferCode, TransferKind, TransferRequest

_T = TypeVar("_T")
_UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
# No `|`: it parts the fields of the digest. No spaces or control characters: two codes that look the same are the same.
_ACCOUNT_CODE = re.compile(r"(house|customer|escrow):[A-Za-z0-9_.:+@/-]{0,190}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_REQUIRED = ("transfer_id", "kind", "debit", "credit", "amount_minor", "currency", "code", "occurred_at")
_OPTIONAL = ("target_id", "hold_expires_at", "linked", "balancing")
_ZERO = timedelta(0)


class InvalidTransfer(InvalidInput):
    """Say which field of a transfer request has the wrong shape. The message repeats no value."""

    code = "invalid_transfer"


def parse_transfer_request(fields: Mapping[str, Any], *, where: str = "") -> TransferRequest:
    """Read one request as it stands in JSON. `where` is put before the field in an error, such as `requests[3].`.

    Ids: a UUID or `tfr_…`. `code`: the name in lower case. Times: RFC 3339. An amount is a JSON integer; a negative one, zero or
    one that is too large is a request all the same, and the ledger's answer names it. Raises: InvalidTransfer.
    """
    if not isinstance(fields, Mapping):
        raise InvalidTransfer(f"{where.rstrip('.') or 'request'}: expected an object, got {type(fields).__name__}")
    unknown = sorted(str(name) for name in fields if name not in _REQUIRED and name not in _OPTIONAL)
    if unknown:
        raise InvalidTransfer(f"{where}{unknown[0][:40]}: there is no such field")
    missing = [name for name in _REQUIRED if fields.get(name) is None]
    if missing:
        raise InvalidTransfer(f"{where}{missing[0]}: missing")

    def read(name: str, parse: Callable[[Any], _T]) -> _T:
        try:
            return parse(fields[name])
        except (ValueError, InvalidInput) as error:
            raise InvalidTransfer(f"{where}{name}: {error}") from error

    def read_optional(name: str, parse: Callable[[Any], _T]) -> _T | None:
        return None if fields.get(name) is None else read(name, parse)

    return TransferRequest(
        transfer_id=read("transfer_id", _parse_uuid),
        kind=read("kind", _parse_kind),
        debit=read("debit", _parse_account_code),
        credit=read("credit", _parse_account_code),
        amount_minor=read("amount_minor", _parse_amount),
        currency=read("currency", _parse_currency),
        code=read("code", _parse_code),
        occurred_at=read("occurred_at", _parse_moment),
        target_id=read_optional("target_id", _parse_uuid),
        hold_expires_at=read_optional("hold_expires_at", _parse_moment),
        linked=read_optional("linked", _parse_flag) or False,
        balancing=read_optional("balancing", _parse_balancing),
    )


def parse_transfer_requests(items: object) -> list[TransferRequest]:
    """Read a list of requests. Raises: InvalidTransfer, with the number of the item, counted from 0."""
    if isinstance(items, str | bytes) or not isinstance(items, Sequence):
        raise InvalidTransfer(f"requests: expected a list, got {type(items).__name__}")
    return [parse_transfer_request(item, where=f"requests[{index}].") for index, item in enumerate(items)]


def require_well_typed(requests: Sequence[TransferRequest]) -> None:
    """Refuse values of another type than the field's, before any is applied: 1.5, NaN and "10" are no amounts, True is not 1.

    Every ledger calls this at its door. Raises: InvalidTransfer, with the number of the request, counted from 0.
    """
    for index, request in enumerate(requests):
        fault = _find_type_fault(request)
        if fault is not None:
            raise InvalidTransfer(f"requests[{index}].{fault}")


def _find_type_fault(request: TransferRequest) -> str | None:
    # One expression for the usual case: this runs for each of 8,000 requests of a call. Most times hold the very zone UTC, and
    # need not be asked for their offset.
    if (
        type(request.amount_minor) is int
        and type(request.transfer_id) is UUID
        and type(request.kind) is TransferKind
        and type(request.code) is TransferCode
        and type(request.debit) is type(request.credit) is type(request.currency) is str
        and type(request.linked) is bool
        and (request.target_id is None or type(request.target_id) is UUID)
        and (request.balancing is None or type(request.balancing) is Balancing)
        and ((type(request.occurred_at) is datetime and request.occurred_at.tzinfo is UTC) or _is_utc(request.occurred_at))
        and (request.hold_expires_at is None or _is_utc(request.hold_expires_at))
    ):
        return None
    return _name_type_fault(request)


def _name_type_fault(request: TransferRequest) -> str:
    wanted: tuple[tuple[str, type, bool], ...] = (
        ("transfer_id", UUID, False), ("kind", TransferKind, False), ("debit", str, False), ("credit", str, False),
        ("amount_minor", int, False), ("currency", str, False), ("code", TransferCode, False), ("linked", bool, False),
        ("target_id", UUID, True), ("balancing", Balancing, True),
    )  # fmt: skip
    for name, kind, may_be_none in wanted:
        value = getattr(request, name)
        if type(value) is not kind and not (may_be_none and value is None):
            return f"{name}: expected {kind.__name__}, got {type(value).__name__}"
    return ("occurred_at" if not _is_utc(request.occurred_at) else "hold_expires_at") + ": expected a time in UTC"


def require_account(code: str, currency: str) -> None:
    """Refuse an account code or a currency of the wrong shape. Raises: InvalidTransfer."""
    try:
        _parse_account_code(code)
    except InvalidTransfer as error:
        raise InvalidTransfer(f"code: {error.message}") from error
    try:
        _parse_currency(currency)
    except InvalidTransfer as error:
        raise InvalidTransfer(f"currency: {error.message}") from error


def _is_utc(moment: object) -> bool:
    return isinstance(moment, datetime) and moment.utcoffset() == _ZERO


def _parse_amount(value: object) -> int:
    if type(value) is not int:
        raise InvalidTransfer(f"expected an integer number of minor units, got {type(value).__name__}")
    return value


def _parse_uuid(value: object) -> UUID:
    text = _parse_text(value)
    if is_id(text, "tfr"):
        return uuid_of(text)
    if _UUID.fullmatch(text) is None:
        raise InvalidTransfer("expected a UUID or tfr_<32 hex digits>")
    return UUID(text)


def _parse_account_code(value: object) -> str:
    text = _parse_text(value)
    if _ACCOUNT_CODE.fullmatch(text) is None:
        raise InvalidTransfer("expected house:, customer: or escrow: and up to 190 letters, digits and _ . : + @ / -")
    return text


def _parse_currency(value: object) -> str:
    text = _parse_text(value)
    if _CURRENCY.fullmatch(text) is None:
        raise InvalidTransfer("expected three capital letters")
    return text


def _parse_kind(value: object) -> TransferKind:
    text = _parse_text(value)
    if text not in list(TransferKind):
        raise InvalidTransfer("expected one of " + ", ".join(TransferKind))
    return TransferKind(text)


def _parse_balancing(value: object) -> Balancing:
    text = _parse_text(value)
    if text not in list(Balancing):
        raise InvalidTransfer("expected one of " + ", ".join(Balancing))
    return Balancing(text)


def _parse_code(value: object) -> TransferCode:
    text = _parse_text(value)
    names = {code.name.lower(): code for code in TransferCode}
    if text not in names:
        raise InvalidTransfer("expected one of " + ", ".join(names))
    return names[text]


def _parse_moment(value: object) -> datetime:
    if isinstance(value, datetime):
        if not _is_utc(value):
            raise NaiveTime("times are aware UTC")
        return value
    return parse_time(_parse_text(value))


def _parse_flag(value: object) -> bool:
    if type(value) is not bool:
        raise InvalidTransfer(f"expected true or false, got {type(value).__name__}")
    return value


def _parse_text(value: object) -> str:
    if type(value) is not str:
        raise InvalidTransfer(f"expected text, got {type(value).__name__}")
    return value
