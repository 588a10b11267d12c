"""What can happen while a turn is answered. Masked: each reader gets it unmasked for what he may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from domain.conversation import Sentence
from serving.edge.money_views import DecisionView

MessageState = Literal["complete", "interrupted"]


@dataclass(frozen=True, slots=True)
class SentenceAdded:
    """Hold one checked sentence."""

    sentence: Sentence


@dataclass(frozen=True, slots=True)
class ProposalSubmitted:
    """Name a proposal that the agents process put into the inbox."""

    proposal_id: str


@dataclass(frozen=True, slots=True)
class ProposalDecided:
    """Hold what the money process answered."""

    proposal_id: str
    view: DecisionView


@dataclass(frozen=True, slots=True)
class ProposalUndecided:
    """Say that the money process could not be asked: nothing was executed."""

    proposal_id: str
    code: str


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """End a turn. `notice` is a code of `plain_text.NOTICES`, "" when all went well."""

    state: MessageState
    answer_id: str
    model: str
    notice: str


TurnEvent = SentenceAdded | ProposalSubmitted | ProposalDecided | ProposalUndecided | TurnFinished
