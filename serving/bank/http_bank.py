"""A bank with an API: `POST {base}/instructions`, `GET {base}/instructions/{id}`; docs/bank.md says it for the bank's side."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from serving.bank.port import KEY_CONFLICT, Ack, AckStatus, BankInstruction, BankUnavailable
from serving.bank.wire import (
    MAX_ACKNOWLEDGEMENT_BYTES,
    UnreadableAcknowledgement,
    parse_acknowledgement,
    render_instruction,
    render_instruction_id,
)
from serving.bounded_http import Answer, BoundedHttp, NoAnswer

_UNKNOWN = "unknown_instruction"


class HttpBank:
    """Speak HTTP to the bank's base URL and to nothing else. One thread's own."""

    def __init__(self, *, base_url: str, token: str, ca_file: Path | None = None, deadline_s: float = 20.0) -> None:
        self._http = BoundedHttp(
            base_url=base_url, token=token, ca_file=ca_file, deadline_s=deadline_s, max_answer_bytes=MAX_ACKNOWLEDGEMENT_BYTES
        )

    def send(self, instruction: BankInstruction) -> Ack:
        """Hand the instruction over. Raises: BankUnavailable, NotCanonical."""
        body = render_instruction(instruction)
        instruction_id = render_instruction_id(instruction.instruction_id)
        headers = {"Idempotency-Key": instruction_id, "Content-Type": "application/json"}
        answer = self._call("POST", "instructions", content=body, headers=headers)
        if answer.status in (200, 201, 202):
            return _read(answer, instruction.instruction_id)
        if answer.status == 409 and answer.error_code == KEY_CONFLICT:
            return Ack(instruction.instruction_id, AckStatus.REFUSED, reason_code=KEY_CONFLICT)
        raise _unusable(answer)

    def find(self, instruction_id: UUID) -> Ack | None:
        """Ask what became of a key. Raises: BankUnavailable."""
        answer = self._call("GET", f"instructions/{render_instruction_id(instruction_id)}")
        if answer.status == 200:
            return _read(answer, instruction_id)
        # A bare 404 may come from anything between us and the bank; only the bank's own word says that it never heard of it.
        if answer.status == 404 and answer.error_code == _UNKNOWN:
            return None
        raise _unusable(answer)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._http.close()

    def _call(self, method: str, path: str, **options: Any) -> Answer:
        try:
            return self._http.call(method, path, **options)
        except NoAnswer as error:
            raise BankUnavailable(f"the bank: {error.message}", code=f"bank_{error.reason}") from None


def _read(answer: Answer, instruction_id: UUID) -> Ack:
    try:
        ack = parse_acknowledgement(answer.raw)
    except UnreadableAcknowledgement as error:
        raise BankUnavailable(
            f"the bank's answer is no acknowledgement: {error.message}", code="bank_answer_unreadable"
        ) from None
    if ack.instruction_id != instruction_id:
        raise BankUnavailable("the bank answered about another instruction", code="bank_answer_unreadable")
    return ack


def _unusable(answer: Answer) -> BankUnavailable:
    """No status alone is a refusal: a proxy, an expired token or a wrong path would undo what the bank may have done."""
    status = answer.status
    if status in (401, 403):
        return BankUnavailable(f"the bank does not accept our token (HTTP {status})", code="bank_not_authorized")
    if 300 <= status < 400:
        return BankUnavailable(f"the bank sends us elsewhere (HTTP {status}): set TELLERGATE_BANK_URL", code="bank_redirects")
    return BankUnavailable(f"the bank answered HTTP {status}", code="bank_unavailable", retry_after_s=answer.retry_after_s)
