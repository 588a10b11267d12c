"""Model call 2: prose that rewords claims. Each finished sentence is checked; what is not said well, the template says."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from agents.output_checks.guard import SentenceGuard
from agents.output_checks.rules import Evidence
from agents.ports import ChatModel
from agents.support.claims import Claim
from domain.conversation import Sentence
from masking.text import MaskedText, masked_from_store
from masking.tokens import find_open_tail
from prompts.library import PromptTemplate
from prompts.rendering import MaskedPrompt, render_prompt

MAX_TOKENS = 160
_MAX_REJECTED = 2
_MAX_SENTENCE_CHARACTERS = 2_000
# A mark ends a sentence when a space and then a beginning follow: not in `EUR 12.90`, and not in `"Why?" says the article`.
_END = re.compile(r"[.!?][\"”')]*(?=\s+[^\sa-z])|\n")
_LIST_MARK = re.compile(r"^\s*(?:[-*•|]|\d+[.)])\s+")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|approx|no|nr|mr|mrs|ms|dr|inc|ltd|co)\.$", re.IGNORECASE)


class SentenceSplitter:
    """Cut a stream of pieces into finished sentences. The last one is finished by `flush`."""

    def __init__(self) -> None:
        self._tail = ""

    def feed(self, piece: str) -> list[str]:
        """Add a piece; return the sentences that it finished."""
        self._tail += piece
        done: list[str] = []
        start = 0
        for match in _END.finditer(self._tail):
            if match.end() > find_open_tail(self._tail):
                break
            if _ABBREVIATION.search(self._tail[start : match.end()]):
                continue
            done.append(self._tail[start : match.end()])
            start = match.end()
        self._tail = self._tail[start:]
        return [text for text in map(_clean, done) if text]

    @property
    def is_endless(self) -> bool:
        """Say whether what is left is longer than any sentence: it is not one, and looking through it takes ever longer."""
        return len(self._tail) > _MAX_SENTENCE_CHARACTERS

    def flush(self) -> list[str]:
        """Return what is left, if it ends like a sentence."""
        left, self._tail = _clean(self._tail), ""
        return [left] if left.endswith((".", "!", "?")) else []


def render_draft_prompt(
    template: PromptTemplate, message: MaskedText, claims: Sequence[Claim], *, tenant_id: str
) -> MaskedPrompt:
    """Render the prompt of model call 2."""
    facts = [masked_from_store(claim.text) for claim in claims]
    return render_prompt(
        template, {"facts": facts, "message": message, "sentence_count": max(1, len(claims))}, tenant_id=tenant_id
    )


async def draft_with_model(
    chat: ChatModel, guard: SentenceGuard, prompt: MaskedPrompt, evidence: Evidence, *, timeout_s: float
) -> AsyncGenerator[tuple[Sentence, Claim], None]:
    """Yield the model's sentences that passed, each with the claim it rewords, each claim once.

    Ends early when every claim is said or two sentences were refused. Raises: ModelUnavailable.
    """
    said: list[Claim] = []
    rejected = 0
    async with aclosing(_stream_sentences(chat, prompt, timeout_s)) as sentences:
        async for text in sentences:
            verdict = guard.check(text, evidence)
            if verdict.support is None or verdict.support in said:
                rejected += 1
            else:
                said.append(verdict.support)
                yield Sentence(text=text, generated_by="model", citations=verdict.support.citations), verdict.support
            if rejected >= _MAX_REJECTED or len(said) == len(evidence.claims):
                return


async def _stream_sentences(chat: ChatModel, prompt: MaskedPrompt, timeout_s: float) -> AsyncGenerator[str, None]:
    splitter = SentenceSplitter()
    async with aclosing(chat.stream_text(prompt, max_tokens=MAX_TOKENS, timeout_s=timeout_s)) as pieces:
        async for piece in pieces:
            for sentence in splitter.feed(piece):
                yield sentence
            if splitter.is_endless:
                return
    for sentence in splitter.flush():
        yield sentence


def _clean(text: str) -> str:
    return " ".join(_LIST_MARK.sub("", text).split())
