"""An outside ledger over HTTP. Implements ledger.outside.port.OutsideLedger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from domain.errors import InvalidInput
from domain.transfer import MAX_BATCH, TransferRequest, TransferResult
from domain.transfer_input import require_well_typed
from ledger.outside.port import OutsideLedgerUnavailable
from ledger.port import AccountBalance, AccountExists, BatchTooLarge, StatementLine, Transfer
from serving.bounded_http import Answer, BoundedHttp, NoAnswer
from serving.outside_ledger.wire import (
    UnreadableAnswer,
    parse_balance,
    parse_lines,
    parse_results,
    parse_transfer,
    render_request,
)

# A result is some 400 bytes; 8,000 of them are 3 MB.
_MAX_ANSWER_BYTES = 16 * 1024 * 1024


class HttpLedger:
    """Speak HTTP to the ledger's base URL and to nothing else. One thread's own."""

    def __init__(self, *, base_url: str, token: str, ca_file: Path | None = None, deadline_s: float = 30.0) -> None:
        self._http = BoundedHttp(
            base_url=base_url, token=token, ca_file=ca_file, deadline_s=deadline_s, max_answer_bytes=_MAX_ANSWER_BYTES
        )

    def open_account(
        self,
        code: str,
        currency: str,
        *,
        debits_must_not_exceed_credits: bool = False,
        credits_must_not_exceed_debits: bool = False,
    ) -> None:
        """Open an account, or see that it is open as asked."""
        body = {
            "code": code,
            "currency": currency,
            "debits_must_not_exceed_credits": debits_must_not_exceed_credits,
            "credits_must_not_exceed_debits": credits_must_not_exceed_debits,
        }
        answer = self._call("POST", "accounts", json=body)
        if answer.status == 409 and answer.error_code == AccountExists.code:
            raise AccountExists(f"account {code} in {currency} is open with other flags")
        _object_of(answer)

    def apply(self, requests: Sequence[TransferRequest]) -> list[TransferResult]:
        """Send the requests in one call and return their results."""
        if len(requests) > MAX_BATCH:
            raise BatchTooLarge(f"{len(requests)} requests in one call; at most {MAX_BATCH}")
        require_well_typed(requests)
        body = {"requests": [render_request(request) for request in requests]}
        try:
            return parse_results(_object_of(self._call("POST", "transfers", json=body)), requests)
        except UnreadableAnswer as error:
            raise _unreadable(error) from None

    def find_balance(self, code: str, currency: str) -> AccountBalance | None:
        """Ask for the account's sums."""
        answer = self._call("GET", "balances", params={"code": code, "currency": currency})
        if _is_absent(answer, "account_not_found"):
            return None
        try:
            return parse_balance(_object_of(answer), code, currency)
        except UnreadableAnswer as error:
            raise _unreadable(error) from None

    def find_transfer(self, transfer_id: UUID) -> Transfer | None:
        """Ask for one transfer."""
        answer = self._call("GET", f"transfers/{transfer_id}")
        if _is_absent(answer, "transfer_not_found"):
            return None
        try:
            found = parse_transfer(_object_of(answer))
        except UnreadableAnswer as error:
            raise _unreadable(error) from None
        if found.transfer_id != transfer_id:
            raise _unreadable(UnreadableAnswer("the transfer is another one"))
        return found

    def list_entries(self, code: str, currency: str, *, after: int | None, limit: int) -> list[StatementLine]:
        """Ask for a page of the account's statement."""
        query = {"code": code, "currency": currency, "limit": limit, **({} if after is None else {"after": after})}
        try:
            return parse_lines(_object_of(self._call("GET", "entries", params=query)), after=after)
        except UnreadableAnswer as error:
            raise _unreadable(error) from None

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._http.close()

    def _call(self, method: str, path: str, **options: Any) -> Answer:
        try:
            return self._http.call(method, path, **options)
        except NoAnswer as error:
            raise OutsideLedgerUnavailable(
                f"the outside ledger: {error.message}", code=f"outside_ledger_{error.reason}"
            ) from None


def _is_absent(answer: Answer, code: str) -> bool:
    """A bare 404 may come from anything in between; only the ledger's own word counts."""
    return answer.status == 404 and answer.error_code == code


def _object_of(answer: Answer) -> dict[str, Any]:
    if answer.status == 422 and answer.error_code:
        raise InvalidInput("the outside ledger does not take this request", code=answer.error_code)
    if answer.status != 200:
        raise OutsideLedgerUnavailable(f"the outside ledger answered HTTP {answer.status}")
    try:
        body = json.loads(answer.raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise _unreadable(UnreadableAnswer("expected an object"))
    return body


def _unreadable(error: UnreadableAnswer) -> OutsideLedgerUnavailable:
    return OutsideLedgerUnavailable(f"the outside ledger: {error.message}", code="outside_ledger_answer_unreadable")
