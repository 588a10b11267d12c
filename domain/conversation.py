"""A support conversation: who asked, on which customer, and which handles are in play."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.origin import Origin


class HandleKind(StrEnum):
    """Name what a handle stands for."""

    TRANSACTION = "transaction"
    ACCOUNT = "account"
    CARD = "card"
    BENEFICIARY = "beneficiary"
    DISPUTE = "dispute"
    HOLD = "hold"
    CASE = "case"
    OUTSIDE = "outside"
    """A typed reference that is not in the conversation's grants. Nothing can be done with it."""


class Grant(BaseModel):
    """Hold one handle of a conversation. `ref` is our own id; `granted` is false for OUTSIDE."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conversation_id: str
    handle: str
    kind: HandleKind
    ref: str
    origin: Origin
    granted: bool


class MessageAuthor(StrEnum):
    """Name who wrote a message."""

    OPERATOR = "operator"
    ASSISTANT = "assistant"


class Citation(BaseModel):
    """Point from a sentence to what backs it: a handle's record or an article's passage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["record", "passage", "decision"]
    ref: str
    title: str
    excerpt: str = ""


class Sentence(BaseModel):
    """Hold one checked sentence of an answer, masked, with who wrote it and what backs it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    generated_by: Literal["model", "template"]
    citations: tuple[Citation, ...] = ()

    @property
    def origin(self) -> Origin:
        """Return whose words these are: a template says what code found in our records."""
        return Origin.MODEL if self.generated_by == "model" else Origin.DERIVED


class Message(BaseModel):
    """Hold one stored message. `masked_text` only: unmasked text exists at the edge alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    message_id: str
    conversation_id: str
    author: MessageAuthor
    operator_id: str
    masked_text: str
    sentences: tuple[Sentence, ...] = ()
    created_at: datetime
