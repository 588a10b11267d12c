"""What goes into a turn and what comes out of it, on the wire between edge and agents."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.conversation import Sentence

MAX_MASKED_BYTES = 131_072


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TurnInput(_Frozen):
    """Hold what a turn is about. Masked, and without any credential: this part is checkpointed."""

    tenant_id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    conversation_id: Annotated[str, Field(pattern=r"^cnv_[0-9a-f]{32}$")]
    message_id: Annotated[str, Field(pattern=r"^msg_[0-9a-f]{32}$")]
    masked_text: Annotated[str, Field(min_length=1, max_length=MAX_MASKED_BYTES)]
    language: Annotated[str, Field(pattern=r"^[a-z]{2}(-[A-Za-z0-9]{2,8})?$")] = "en"
    reader_roles: Annotated[tuple[str, ...], Field(min_length=1, max_length=8)] = ("support",)
    started_at: datetime


class SentenceEvent(_Frozen):
    """Carry one sentence that may be shown."""

    type: Literal["sentence"] = "sentence"
    sentence: Sentence


class ProposalEvent(_Frozen):
    """Say that a proposal lies in the inbox."""

    type: Literal["proposal"] = "proposal"
    proposal_id: str


class QuestionEvent(_Frozen):
    """Ask back; nothing is proposed. `handles` are the candidates, if any."""

    type: Literal["question"] = "question"
    text: str
    handles: tuple[str, ...] = ()


class DoneEvent(_Frozen):
    """End a turn. `model` is `none` when no model wrote or read anything that counted."""

    type: Literal["done"] = "done"
    message_state: Literal["complete", "interrupted"]
    model: str


class ErrorEvent(_Frozen):
    """End a turn that could not go on. What was sent before stands."""

    type: Literal["error"] = "error"
    code: str
    message: str


TurnEvent = SentenceEvent | ProposalEvent | QuestionEvent | DoneEvent | ErrorEvent
