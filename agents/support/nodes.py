"""The steps of a support turn. Each reads a `View`, does one thing, and returns what it found as plain data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import structlog
from langgraph.runtime import Runtime

from agents.output_checks.rules import Evidence
from agents.ports import ModelUnavailable
from agents.support.claims import Claim
from agents.support.drafting import draft_with_model, render_draft_prompt
from agents.support.loading import load_facts
from agents.support.model_reading import (
    MAX_TOKENS,
    ModelReading,
    combine_readings,
    facts_in_play,
    parse_reading,
    reading_schema,
    render_reading_prompt,
)
from agents.support.proposals import build_refund, insert_proposal
from agents.support.quotes import quote_passages
from agents.support.reading import Intent, Reading, read_by_code
from agents.support.state import SupportDeps, SupportState, TurnContext, View
from agents.support.templates import is_general, write_answer, write_lead, write_question
from agents.support.turn_types import ProposalEvent, QuestionEvent, SentenceEvent, TurnEvent
from domain.conversation import Sentence
from domain.errors import Unavailable
from domain.proposal import ModelTrace
from masking.text import MaskedText, masked_from_store
from prompts.rendering import MaskedPrompt
from storage.unit_of_work import async_unit_of_work

_LOG = structlog.get_logger("tellergate.support")
_PASSAGES = 3
# A message of a megabyte is masked and stored whole; a model and a search read its beginning.
_READ_CHARACTERS = 2000
_TOPICS = {
    Intent.DUPLICATE_CHARGE: "duplicate charge", Intent.REFUND: "refund", Intent.DECLINE: "declined payment", Intent.FEE: "fee",
    Intent.PAYOUT: "payout settlement", Intent.DISPUTE: "dispute chargeback",
}  # fmt: skip

Rt = Runtime[TurnContext]


class SupportNodes:
    """Hold the steps. All state is in the graph's channels; an instance can serve many turns at once."""

    def __init__(self, deps: SupportDeps) -> None:
        self._deps = deps

    async def load(self, state: SupportState, runtime: Rt) -> SupportState:
        """Gather the facts, read the message by code, and show the first line at once."""
        view = View.model_validate(state)
        async with async_unit_of_work(self._deps.pool, runtime.context.tenant_context) as connection:
            facts = await load_facts(connection, view.turn.conversation_id)
        reading = read_by_code(view.turn.masked_text[:_READ_CHARACTERS], facts)
        lead = write_lead(reading, facts)
        first = [lead.to_sentence()] if lead is not None else []
        for sentence in first:
            _emit(runtime, SentenceEvent(sentence=sentence))
        return {"facts": _dump(facts), "code_reading": _dump(reading), "sentences": [_dump(sentence) for sentence in first]}

    async def interpret(self, state: SupportState) -> SupportState:
        """Ask the model for its reading within its budget; code's sure reading stands."""
        view = View.model_validate(state)
        assert view.facts is not None
        assert view.code_reading is not None
        shown = facts_in_play(view.code_reading, view.facts)
        prompt = render_reading_prompt(
            self._deps.prompts.find("support_interpret"),
            _message(view),
            shown,
            view.facts.outside,
            tenant_id=view.turn.tenant_id,
        )
        handles = [*(fact.handle for fact in shown), *view.facts.outside]
        by_model = await self._ask_reading(prompt, handles, view.code_reading)
        reading = combine_readings(view.code_reading, by_model, view.facts)
        model = self._model_name() if by_model is not None else "none"
        trace = _trace(prompt, reading, model)
        _log_cross_check(view, by_model)
        return {
            "reading": _dump(reading),
            "trace": _dump(trace),
            "models": [trace.model] if reading.read_by == "model" else [],
        }

    async def retrieve(self, state: SupportState, runtime: Rt) -> SupportState:
        """Find passages; an answer without articles is better than none."""
        view = View.model_validate(state)
        assert view.code_reading is not None
        knowledge = self._deps.knowledge()
        if knowledge is None:
            return {"passages": []}
        query = MaskedText.join([masked_from_store(_TOPICS.get(view.code_reading.intent, "")), _message(view)])
        try:
            found = await knowledge.search(
                query, context=runtime.context.tenant_context, reader_roles=view.turn.reader_roles, top_k=_PASSAGES
            )
        except Unavailable as error:
            _LOG.warning("retrieval_failed", code=error.code)
            found = ()
        return {"passages": [_dump(passage) for passage in found]}

    async def propose(self, state: SupportState, runtime: Rt) -> SupportState:
        """Put a refund into the inbox when a sure reading asks for one. Repeating this step repeats nothing."""
        view = View.model_validate(state)
        assert view.facts is not None
        assert view.reading is not None
        assert view.trace is not None
        proposal = build_refund(view.turn, view.reading, view.facts, view.trace)
        if proposal is None:
            return {"proposal": None}
        async with async_unit_of_work(self._deps.pool, runtime.context.tenant_context) as connection:
            await insert_proposal(connection, proposal)
        _emit(runtime, ProposalEvent(proposal_id=proposal.proposal_id))
        return {"proposal": _dump(proposal)}

    async def ask(self, state: SupportState, runtime: Rt) -> SupportState:
        """Ask back; propose nothing."""
        view = View.model_validate(state)
        assert view.facts is not None
        assert view.reading is not None
        claim = write_question(view.reading, view.facts)
        question = QuestionEvent(text=claim.text, handles=view.reading.candidates)
        _emit(runtime, question)
        return {"question": _dump(question)}

    async def draft(self, state: SupportState, runtime: Rt) -> SupportState:
        """Write the answer: the model rewords what code knows, sentence by checked sentence; the template says the rest."""
        view = View.model_validate(state)
        claims = _claims(view)
        message = _message(view)
        unsaid = list(claims)
        written: list[Sentence] = []

        def say(sentence: Sentence) -> None:
            written.append(sentence)
            _emit(runtime, SentenceEvent(sentence=sentence))

        if not view.sentences and unsaid:
            # No line stands on the screen yet: the best article's does not wait for a model.
            say(unsaid.pop(0).to_sentence())
        async with aclosing(self._model_sentences(view, tuple(unsaid), message, runtime)) as drafted:
            async for sentence, claim in drafted:
                if claim not in unsaid:
                    continue
                # The answer keeps its order: what comes before this claim is said by the template now.
                while unsaid[0] != claim:
                    say(unsaid.pop(0).to_sentence())
                unsaid.pop(0)
                say(sentence)
        for claim in unsaid:
            say(claim.to_sentence())
        is_drafted = any(sentence.generated_by == "model" for sentence in written)
        return {"sentences": [_dump(sentence) for sentence in written], "models": [self._model_name()] if is_drafted else []}

    async def _ask_reading(self, prompt: MaskedPrompt, handles: list[str], code_reading: Reading) -> ModelReading | None:
        chat = self._deps.chat()
        if chat is None or (code_reading.sureness != "unsure" and not self._deps.budgets.cross_check):
            return None
        try:
            answer = await chat.complete_json(
                prompt, reading_schema(handles), max_tokens=MAX_TOKENS, timeout_s=self._deps.budgets.reading_s
            )
            return parse_reading(answer, handles)
        except ModelUnavailable as error:
            _LOG.info("reading_by_template", code=error.code)
            return None

    async def _model_sentences(
        self, view: View, claims: tuple[Claim, ...], message: MaskedText, runtime: Rt
    ) -> AsyncGenerator[tuple[Sentence, Claim], None]:
        """Yield what the model says well, as long as the budgets last; then end, whatever the reason."""
        chat, guard = self._deps.chat(), self._deps.guard()
        if chat is None or guard is None or not claims:
            return
        prompt = render_draft_prompt(self._deps.prompts.find("support_draft"), message, claims, tenant_id=view.turn.tenant_id)
        budgets, monotonic = self._deps.budgets, self._deps.monotonic
        started = runtime.context.started_monotonic
        evidence = Evidence(claims=claims, granted_tokens=frozenset(message.tokens))
        left_s = started + budgets.draft_s - monotonic()
        async with aclosing(draft_with_model(chat, guard, prompt, evidence, timeout_s=max(left_s, 0.0))) as drafted:
            limit = started + budgets.first_sentence_s
            while True:
                try:
                    async with asyncio.timeout(limit - monotonic()):
                        item = await anext(drafted)
                except (TimeoutError, StopAsyncIteration, ModelUnavailable) as error:
                    _LOG.info("draft_by_template", reason=getattr(error, "code", type(error).__name__))
                    return
                yield item
                limit = started + budgets.draft_s

    def _model_name(self) -> str:
        chat = self._deps.chat()
        return chat.name if chat is not None else "none"


def route_after_propose(state: SupportState) -> str:
    """Ask back when two readings are close, or when nothing was read and no article speaks about it; else answer."""
    view = View.model_validate(state)
    assert view.reading is not None
    if view.reading.sureness == "close" or (view.reading.sureness == "unsure" and not _claims(view, is_probe=True)):
        return "ask"
    return "draft"


def _claims(view: View, *, is_probe: bool = False) -> tuple[Claim, ...]:
    assert view.facts is not None
    assert view.reading is not None
    is_question = is_general(view.reading)
    query = view.turn.masked_text[:_READ_CHARACTERS] + " " + _TOPICS.get(view.reading.intent, "")
    quotes = quote_passages(query, view.passages, limit=3 if is_question else 1, is_key=is_question)
    if is_probe:
        return quotes
    return write_answer(view.reading, view.facts, proposal=view.proposal, passages=view.passages, quotes=quotes)


def _trace(prompt: MaskedPrompt, reading: Reading, model: str) -> ModelTrace:
    return ModelTrace(
        prompt_id=prompt.prompt_id,
        prompt_sha256=prompt.prompt_sha256,
        masked_prompt_sha256=prompt.masked_prompt_sha256,
        model=model,
        generated_by=reading.read_by,
    )


def _log_cross_check(view: View, by_model: ModelReading | None) -> None:
    code = view.code_reading
    if code is not None and by_model is not None:
        _LOG.info("reading", code_intent=code.intent.value, model_intent=by_model.intent.value, sureness=code.sureness)


def _message(view: View) -> MaskedText:
    text = view.turn.masked_text[:_READ_CHARACTERS]
    # A cut in the middle of a token leaves no token: drop its rest.
    return masked_from_store(text if len(text) < _READ_CHARACTERS else text[: text.rfind(" ") + 1] or text)


def _emit(runtime: Rt, event: TurnEvent) -> None:
    runtime.stream_writer(event.model_dump(mode="json"))


def _dump(value: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = value.model_dump(mode="json")
    return dumped
