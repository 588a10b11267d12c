"""Each rule reads one finished sentence against the claims it may draw on, and says what is wrong, or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from agents.output_checks.vocabulary import FREE_WORDS, has_negation, stem, words_of
from agents.support.claims import Claim
from masking.tokens import TOKEN_SHAPE, find_tokens

MAX_SENTENCE_CHARACTERS = 320
_MIN_SENTENCE_CHARACTERS = 12
_QUOTED = re.compile(r'The article "(.+?)" says: ')
_SUBSTANCE_PERCENT = 60
_DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_HANDLE = re.compile(r"\b[A-Z]{1,2}\d{1,4}\b")
_ID = re.compile(r"\b[a-z]{3}_[0-9a-f]{6,}\b")
_NUMBER = re.compile(r"\d+(?:[.,'  ]\d+)*")


def _any_of(*parts: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(parts)})\b", re.IGNORECASE)


_NUMBER_WORDS = _any_of(
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|hundred|thousand|million",
    "half|dozen|couple|several|percent|today|tomorrow|yesterday|tonight|soon|shortly|immediately|next",
    "january|february|march|april|june|july|august|september|october|november|december",
    "monday|tuesday|wednesday|thursday|friday|saturday|sunday",
)
_DONE = "|".join((
    "refunded|reimbursed|credited|approved|granted|accepted|authori[sz]ed|processed|completed|issued|paid out|returned|reversed",
    "sent back|given back|executed|confirmed|eligible|entitled",
))  # fmt: skip
_PROMISE = _any_of(
    r"will|shall|going to|gonna|would be|guarantee\w*|promis\w*|assur\w*|ensur\w*|certain\w*|definitely",
    "rest assured|you can expect|be expected|money is on its way|we (?:apologi[sz]e|are sorry)|i am sorry",
    rf"(?:has|have|had|was|were|is|are|been|be|being|got|already)\s+(?:\w+\s+)?(?:{_DONE})",
    r"(?:approve|approved|authori[sz]e|execute|process|issue|credit)\s+(?:the|a|this|your|his|her|their)\s+refund",
)
_COMMANDS = _any_of(
    "click|visit|download|install|log ?in|sign ?in|enter|type|send|reply|call|dial|transfer|wire|deposit",
    "ignore|disregard|forget|override|bypass|reveal|disclose|instructions?|system prompt",
    "password|pin code|one-time code|otp|cvv|api|http",
)
_LINKS = re.compile(
    r"https?:|www\.|\b[\w.-]+\.(?:com|net|org|io|ru|info|biz|xyz|top|link|app)\b|@\w|<\||\|>|```|\{|\}|\\n", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hold what a sentence may draw on: the claims of this answer, and the tokens that were granted."""

    claims: tuple[Claim, ...]
    granted_tokens: frozenset[str] = frozenset()


Rule = Callable[[str, Evidence], str | None]


def find_support(sentence: str, evidence: Evidence) -> Claim | None:
    """Return the one claim that holds every value of the sentence, its handles in the same order, and its words best.

    One claim, not several: values of two facts in one sentence could be joined wrongly.
    """
    wanted = values_of(sentence)
    handles = _HANDLE.findall(sentence)
    fitting = [
        claim for claim in evidence.claims if wanted <= values_of(claim.text) and _in_order(handles, _HANDLE.findall(claim.text))
    ]
    return max(fitting, key=lambda claim: _overlap(sentence, claim.text), default=None)


def values_of(text: str) -> frozenset[str]:
    """Return the amounts, days, handles, ids, tokens and numbers of a text, each as written."""
    found: set[str] = {match.token or "?" for match in find_tokens(text)}
    rest = TOKEN_SHAPE.sub(" ", text)
    for pattern in (_ID, _DAY, _HANDLE):
        found |= set(pattern.findall(rest))
        rest = pattern.sub(" ", rest)
    found |= {re.sub(r"\W", ".", number) for number in _NUMBER.findall(rest)}
    return frozenset(found | {word.casefold() for word in _NUMBER_WORDS.findall(rest)})


def check_values(sentence: str, evidence: Evidence) -> str | None:
    """Every amount, day, count, handle and id stands in one cited fact."""
    if find_support(sentence, evidence) is None:
        return "a number, day, handle or id does not stand in any one fact"
    return None


def check_currency(sentence: str, evidence: Evidence) -> str | None:
    """A currency code stands beside the same number as in the fact."""
    support = find_support(sentence, evidence)
    pairs = set(_currency_pairs(sentence))
    if support is not None and not pairs <= set(_currency_pairs(support.text)):
        return "an amount stands with another currency than in the fact"
    return None


def check_words(sentence: str, evidence: Evidence) -> str | None:
    """Every word that carries meaning stands in the fact, so a sentence can reword a fact and not add to it."""
    support = find_support(sentence, evidence)
    known = {stem(word) for word in words_of(support.text)} if support else set()
    unknown = [word for word in words_of(TOKEN_SHAPE.sub(" ", sentence)) if word not in FREE_WORDS and stem(word) not in known]
    return f"words that no fact holds: {', '.join(sorted(set(unknown))[:5])}" if unknown else None


def check_negation(sentence: str, evidence: Evidence) -> str | None:
    """A sentence denies exactly when its fact denies."""
    support = find_support(sentence, evidence)
    if support is not None and has_negation(sentence) != has_negation(support.text):
        return "it denies what the fact says, or the other way round"
    return None


def check_substance(sentence: str, evidence: Evidence) -> str | None:
    """A sentence takes its fact's place, so it holds every value of the fact and most of its words."""
    support = find_support(sentence, evidence)
    if support is None:
        return None
    if not values_of(support.text) <= values_of(sentence):
        return "it leaves out a value of its fact"
    if _overlap(sentence, support.text) * 100 < _SUBSTANCE_PERCENT * _overlap(support.text, support.text):
        return "it says too little of its fact"
    return None


def check_promise(sentence: str, evidence: Evidence) -> str | None:
    """No promise of an outcome, a day or a credit, no claim that money moved, unless its own fact says exactly these words."""
    support = find_support(sentence, evidence)
    said = {match.group(0).casefold() for match in _PROMISE.finditer(sentence)}
    allowed = {match.group(0).casefold() for match in _PROMISE.finditer(support.text)} if support else set()
    return f"it promises: {', '.join(sorted(said - allowed))}" if said - allowed else None


def check_tokens(sentence: str, evidence: Evidence) -> str | None:
    """No token that was not granted, and none that is damaged."""
    for match in find_tokens(sentence):
        if match.token is None or match.token not in evidence.granted_tokens:
            return "a token that this conversation does not grant"
    return None


def check_instruction(sentence: str, evidence: Evidence) -> str | None:  # noqa: ARG001
    """No link, no markup, nothing that tells the reader to do something."""
    return "a link, markup or an instruction" if _LINKS.search(sentence) or _COMMANDS.search(sentence) else None


def check_length(sentence: str, evidence: Evidence) -> str | None:  # noqa: ARG001
    """A sentence is a sentence: neither a fragment nor a wall, one line, printable, closed by a mark."""
    text = sentence.strip()
    if not _MIN_SENTENCE_CHARACTERS <= len(text) <= MAX_SENTENCE_CHARACTERS:
        return f"its length is not between {_MIN_SENTENCE_CHARACTERS} and {MAX_SENTENCE_CHARACTERS} characters"
    if not text.isprintable() or text[-1] not in ".!?" or text[0].islower() or not (text[0].isalnum() or text[0] in '"“'):
        return "it is not one printable line that begins like a sentence and ends with a mark"
    return None


def check_attribution(sentence: str, evidence: Evidence) -> str | None:
    """What an article says stays what the article says: without its title a rule would read as a fact about the customer."""
    support = find_support(sentence, evidence)
    quoted = _QUOTED.match(support.text) if support else None
    return "it does not name the article that says so" if quoted and quoted[1] not in sentence else None


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "length": check_length,
        "tokens": check_tokens,
        "instruction": check_instruction,
        "promise": check_promise,
        "values": check_values,
        "attribution": check_attribution,
        "currency": check_currency,
        "negation": check_negation,
        "words": check_words,
        "substance": check_substance,
    }
)


def _in_order(handles: Sequence[str], reference: Sequence[str]) -> bool:
    rest = iter(reference)
    return all(handle in rest for handle in handles)


def _currency_pairs(text: str) -> list[tuple[str, str]]:
    written = re.findall(r"\b([A-Z]{3})\s?(\d[\d.,]*\d|\d)|(\d[\d.,]*\d|\d)\s?([A-Z]{3})\b|([€$£¥])\s?(\d[\d.,]*\d|\d)", text)
    return [
        (code1 or code2 or symbol, number1 or number2 or number3) for code1, number1, number2, code2, symbol, number3 in written
    ]


def _overlap(sentence: str, reference: str) -> int:
    known = {stem(word) for word in words_of(reference) if word not in FREE_WORDS} | values_of(reference)
    said = {stem(word) for word in words_of(sentence) if word not in FREE_WORDS} | values_of(sentence)
    return len(known & said)
