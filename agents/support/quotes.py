"""Quote what the articles say: whole sentences, word for word, each with the citation that opens its passage."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agents.output_checks.rules import MAX_SENTENCE_CHARACTERS
from agents.output_checks.vocabulary import FREE_WORDS, stem, words_of
from agents.support.claims import Claim, show_name
from masking.tokens import TOKEN_SHAPE
from retrieval.passages import Passage

# Not after `no. 4`, `e.g. this` and the like.
_SENTENCE_END = re.compile(r"(?<!\bno\.)(?<!\bNo\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<=[.!?])\s+|\n+")
_LIST_MARK = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_EMPHASIS = re.compile(r"\*\*|__|`")
# An article is data: a sentence of it that speaks to a model, or leads away from the console, is not shown.
_NOT_QUOTABLE = re.compile(
    r"https?:|www\.|<\||\|>|[{}<>]|\[[^\]]*\]\(|\b(ignore|disregard|forget|override|bypass)\b.{0,40}\b(instruction|rule|previous|above|prompt|check)"
    r"|\bsystem prompt\b|\b(assistant|model|ai)\b\s*[:,]",
    re.IGNORECASE,
)
_ASKS_NUMBER = re.compile(
    r"\b(how (long|much|many|often|high|soon|late)|when|within|what (is|are) the [\w\s]*(limit|fee|price|cost))\b", re.IGNORECASE
)
_NUMBER = re.compile(
    r"\d|\b(one|two|three|four|five|six|seven|eight|nine|ten|fourteen|free|day|days|month|months|hours|minutes)\b", re.IGNORECASE
)
_NUMBER_BONUS = 3


def quote_passages(query: str, passages: Sequence[Passage], *, limit: int, is_key: bool) -> tuple[Claim, ...]:
    """Return the sentences that share most with the question, best first; none when nothing is shared."""
    wanted, asks_number = _stems(query), bool(_ASKS_NUMBER.search(query))
    scored: list[tuple[int, int, int, Claim]] = []
    for rank, passage in enumerate(passages):
        headings = _stems(passage.heading_path) & wanted
        for place, sentence in enumerate(split_sentences(passage.text)):
            shared = len(_stems(sentence) & wanted)
            score = 2 * shared + len(headings) + (_NUMBER_BONUS if asks_number and _NUMBER.search(sentence) else 0)
            if is_quotable(sentence) and shared + len(headings) > 0:
                scored.append((score, -rank, -place, _to_claim(passage, sentence, is_key=is_key)))
    scored.sort(key=lambda item: item[:3], reverse=True)
    return tuple(item[3] for item in scored[:limit])


def split_sentences(text: str) -> list[str]:
    """Split an article's text into sentences without Markdown's marks."""
    lines = (_EMPHASIS.sub("", _LIST_MARK.sub("", part)).strip() for part in _SENTENCE_END.split(text))
    return [line for line in lines if line]


def is_quotable(sentence: str) -> bool:
    """Say whether a sentence of an article may be shown as a quote."""
    is_whole = sentence.endswith((".", "!", "?")) and not sentence.startswith(("|", "#"))
    is_fit = 20 <= len(sentence) <= MAX_SENTENCE_CHARACTERS - 60 and sentence.isprintable()
    return is_whole and is_fit and not _NOT_QUOTABLE.search(sentence) and not TOKEN_SHAPE.search(sentence)


def _to_claim(passage: Passage, sentence: str, *, is_key: bool) -> Claim:
    text = f'The article "{show_name(passage.title)}" says: {sentence}'
    return Claim(text=text, citations=(passage.cite(sentence),), is_key=is_key)


def _stems(text: str) -> set[str]:
    return {stem(word) for word in words_of(text) if word not in FREE_WORDS and len(word) > 2}
