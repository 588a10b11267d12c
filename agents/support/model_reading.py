"""Model call 1: a reading under a schema whose enums are the handles in play; read back as hostile text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.ports import ModelAnswerUnusable
from agents.support.facts import FactSheet, TransactionFact
from agents.support.reading import Intent, Reading
from agents.support.wording import describe
from masking.text import MaskedText, masked_from_store
from prompts.library import PromptTemplate
from prompts.rendering import MaskedPrompt, PromptValue, render_prompt

MAX_TOKENS = 40
_MAX_FACTS = 8
_NONE = "none"


class ModelReading(BaseModel):
    """Hold what the model answered, once it fits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    intent: Intent
    handle: str
    action: Literal["refund", "none"]


def facts_in_play(code_reading: Reading, facts: FactSheet) -> tuple[TransactionFact, ...]:
    """Return the transactions to show: what code points to, then duplicates, then the newest."""
    wanted = [code_reading.handle, *code_reading.candidates, *(h for pair in facts.duplicates for h in (pair.repeat, pair.first))]
    first = [fact for handle in dict.fromkeys(wanted) if handle and (fact := facts.find(handle))]
    rest = [fact for fact in facts.transactions if fact not in first]
    return tuple([*first, *rest][:_MAX_FACTS])


def reading_schema(handles: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schema of a reading for these handles."""
    return {
        "type": "object",
        "properties": {
            "intent": {"type": "string", "enum": [intent.value for intent in Intent]},
            "handle": {"type": "string", "enum": [*handles, _NONE]},
            "action": {"type": "string", "enum": ["refund", _NONE]},
        },
        "required": ["intent", "handle", "action"],
        "additionalProperties": False,
    }


def render_reading_prompt(
    template: PromptTemplate, message: MaskedText, shown: Sequence[TransactionFact], outside: Sequence[str], *, tenant_id: str
) -> MaskedPrompt:
    """Render the prompt of model call 1."""
    values: dict[str, PromptValue] = {
        "handles": frozenset([*(fact.handle for fact in shown), *outside]),
        "facts": [masked_from_store(describe(fact).text) for fact in shown],
        "message": message,
    }
    return render_prompt(template, values, tenant_id=tenant_id)


def parse_reading(answer: str, handles: Sequence[str]) -> ModelReading:
    """Read the model's JSON. Raises: ModelAnswerUnusable."""
    try:
        reading = ModelReading.model_validate_json(answer)
    except ValidationError as error:
        raise ModelAnswerUnusable("the model's reading does not fit its schema") from error
    if reading.handle != _NONE and reading.handle not in handles:
        raise ModelAnswerUnusable("the model named a handle that is not in play")
    return reading


def combine_readings(by_code: Reading, by_model: ModelReading | None, facts: FactSheet) -> Reading:
    """Let code's confident reading win; use the model's only where code has none, and only to explain: it never starts a refund.

    Two close readings stay close: the operator is asked, whatever the model thinks.
    """
    if by_code.sureness != "unsure" or by_model is None:
        return by_code
    fact = facts.find(by_model.handle)
    fits = {
        Intent.QUESTION: True,
        Intent.DECLINE: fact is not None and fact.status == "declined",
        Intent.FEE: fact is not None and fact.kind == "fee",
        Intent.PAYOUT: fact is not None and fact.kind == "payout",
    }
    if not fits.get(by_model.intent, False):
        return by_code
    handle = None if by_model.intent is Intent.QUESTION else by_model.handle
    return by_code.model_copy(update={"intent": by_model.intent, "handle": handle, "sureness": "sure", "read_by": "model"})
