"""The agents' inbox, read as an attacker's words: a row becomes a Proposal, or a malformed one that is kept and denied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from domain.canonical import digest_of
from domain.proposal import ActionKind, ModelTrace, Proposal

_MAX_JSON_CHARACTERS = 20_000
_NO_TRACE = ModelTrace(
    prompt_id="unknown", prompt_sha256="0" * 64, masked_prompt_sha256="0" * 64, model="unknown", generated_by="model"
)


@dataclass(frozen=True, slots=True)
class Submission:
    """Hold one row of the inbox. `proposal` is None when it cannot be read; `digest` is of what was submitted, either way."""

    proposal_id: str
    conversation_id: str
    message_id: str
    kind: ActionKind
    trace: ModelTrace
    digest: str
    proposal: Proposal | None

    def to_event_data(self) -> dict[str, Any]:
        """Return what the event `proposal.submitted` says of it: hashes and typed values, never free text of the agents."""
        data: dict[str, Any] = {
            "proposal_id": self.proposal_id,
            "proposal_digest": self.digest,
            "conversation_id": self.conversation_id,
            "message_id": self.message_id,
            "kind": self.kind.value,
            "prompt_id": self.trace.prompt_id,
            "prompt_sha256": self.trace.prompt_sha256,
            "masked_prompt_sha256": self.trace.masked_prompt_sha256,
            "model": self.trace.model,
            "generated_by": self.trace.generated_by,
        }
        if self.proposal is None:
            return {**data, "malformed": True}
        return {**data, "arguments": self.proposal.arguments.to_record()}


def read_submission(row: Mapping[str, Any], *, tenant_id: str) -> Submission:
    """Read a row whose `arguments` and `trace` are JSON text. Nothing in it can raise: a fault makes it malformed."""
    kind = ActionKind(row["kind"]) if row["kind"] in set(ActionKind) else ActionKind.UNLISTED
    proposal: Proposal | None = None
    trace = _NO_TRACE
    try:
        trace = ModelTrace.model_validate(_parse(row["trace"]))
        proposal = Proposal.model_validate({**row, "tenant_id": tenant_id, "arguments": _parse(row["arguments"]), "trace": trace})
        digest = digest_of(proposal)
    except (ValidationError, ValueError, RecursionError):
        proposal = None
        digest = _digest_raw(row)
    return Submission(
        proposal_id=row["proposal_id"],
        conversation_id=row["conversation_id"],
        message_id=row["message_id"],
        kind=kind,
        trace=trace,
        digest=digest,
        proposal=proposal,
    )


def _parse(text: str) -> Any:
    if len(text) > _MAX_JSON_CHARACTERS:
        raise ValueError("too long")
    return json.loads(text)


def _digest_raw(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([row["proposal_id"], row["kind"], row["arguments"], row["trace"]]).encode()).hexdigest()
