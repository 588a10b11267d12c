"""The state of a support turn: plain data, masked, small. Typed values are read from it and written back as JSON."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

from pydantic import BaseModel, ConfigDict

from agents.output_checks.guard import SentenceGuard
from agents.ports import ChatModel
from agents.support.facts import FactSheet
from agents.support.reading import Reading
from agents.support.turn_types import QuestionEvent, TurnInput
from domain.conversation import Sentence
from domain.proposal import ModelTrace, Proposal
from prompts.library import PromptLibrary
from retrieval.passages import Passage
from retrieval.search import KnowledgeSearch
from storage.pools import AsyncPool


class SupportState(TypedDict, total=False):
    """Name the channels. Each is written by one node; `sentences` grows."""

    turn: dict[str, Any]
    facts: dict[str, Any]
    code_reading: dict[str, Any]
    reading: dict[str, Any]
    trace: dict[str, Any]
    passages: list[dict[str, Any]]
    proposal: dict[str, Any] | None
    question: dict[str, Any] | None
    sentences: Annotated[list[dict[str, Any]], operator.add]
    models: Annotated[list[str], operator.add]


class View(BaseModel):
    """Read a state as typed values; what no node has written yet is None or empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    turn: TurnInput
    facts: FactSheet | None = None
    code_reading: Reading | None = None
    reading: Reading | None = None
    trace: ModelTrace | None = None
    passages: tuple[Passage, ...] = ()
    proposal: Proposal | None = None
    question: QuestionEvent | None = None
    sentences: tuple[Sentence, ...] = ()
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Budgets:
    """Bound the model's share of a turn, in seconds from the start of the turn unless said otherwise."""

    reading_s: float = 2.0
    """For model call 1 alone."""
    first_sentence_s: float = 3.5
    draft_s: float = 8.0
    cross_check: bool = False
    """Ask the model for its reading also where code has one. Code's stands either way; it costs the prose a second."""


@dataclass(frozen=True, slots=True)
class SupportDeps:
    """Hold what the nodes work with. `guard` and `chat` are asked for at each turn: both come up after the process."""

    pool: AsyncPool
    prompts: PromptLibrary
    knowledge: Callable[[], KnowledgeSearch | None]
    chat: Callable[[], ChatModel | None]
    guard: Callable[[], SentenceGuard | None]
    monotonic: Callable[[], float]
    budgets: Budgets = field(default_factory=Budgets)


@dataclass(frozen=True, slots=True)
class TurnContext:
    """Hold what a turn needs and no checkpoint may keep: the credential of the tenant, and the start of its budgets."""

    tenant_context: str
    started_monotonic: float
