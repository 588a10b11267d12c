"""What does the operator want? Read by code from words and structure: the template of model call 1, and its cross-check."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agents.support.facts import FactSheet
from agents.support.targets import Target, find_target


class Intent(StrEnum):
    """Name what a message is about."""

    DUPLICATE_CHARGE = "duplicate_charge"
    REFUND = "refund"
    DECLINE = "decline"
    FEE = "fee"
    PAYOUT = "payout"
    DISPUTE = "dispute"
    QUESTION = "question"
    OTHER = "other"


Sureness = Literal["sure", "close", "unsure"]


class Reading(BaseModel):
    """Hold one reading of a message.

    `close`: two readings, or two transactions, are equally good (`alternatives`, `candidates`). `unsure`: nothing matched.
    `amount_minor` is what the message asks for, if it says so; the gate, not we, compares it with the charge.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    intent: Intent
    handle: str | None
    action: Literal["refund", "none"]
    sureness: Sureness
    read_by: Literal["model", "template"]
    amount_minor: int | None = None
    currency: str | None = None
    candidates: tuple[str, ...] = ()
    alternatives: tuple[Intent, ...] = ()


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


_CUES = MappingProxyType(
    {
        Intent.DUPLICATE_CHARGE: _words(
            r"\b(twice|two times|2x|duplicat\w*|doubl[ey][- ]?(charg|pa(y|id)|book|bill|debit)\w*|charged again",
            r"again for the same|same (charge|payment|amount|purchase)\b.{0,30}\b(again|two|second))",
        ),
        Intent.REFUND: _words(
            r"\b(refund\w*|reimburs\w*|money back|(give|pay|send|credit)\w* .{0,40}\bback|return (the|his|her|their) money)"
        ),
        Intent.DECLINE: _words(
            r"\b(declin\w*|rejected|refused|not accepted|fail\w* payment|(card|payment) .{0,25}\b(fail\w*|not work\w*|blocked)",
            r"(did ?n[o']?t|does ?n[o']?t|would ?n[o']?t) (go|get) through)",
        ),
        Intent.FEE: _words(r"\b(fees?|commission|surcharge|mark[- ]?up)\b"),
        Intent.PAYOUT: _words(
            r"\b(pay-?outs?|settle(s|d|ment)?|paid out|where('s| is| are) (my|the|his|her|their) (money|payment|funds)",
            r"(money|payment|transfer|salary|funds) .{0,25}\b(arriv\w*|land\w*|come in))",
        ),
        Intent.DISPUTE: _words(
            r"\b(disput\w*|charge-?backs?|contest\w*|unauthori[sz]ed|fraud\w*|not recogni[sz]e\w*|do(es)? ?n[o']?t recogni[sz]e",
            r"never (received|arrived|ordered)|not received|(did|has) ?n[o']?t (arrive|make|authori[sz]e)\w*)",
        ),
    }
)
_GENERAL = _words(
    r"\b(polic(y|ies)|rules?|in general|generally|procedure|process for",
    r"how (long|do|does|can|much|many|are|is|should|would|will|to)",
    r"what (is|are|does|do|happens|counts|if|about)|what's|which|tell me about",
    r"when (can|may|must|do)|who (has|have|may|can|must|decides|approves|pays)",
    r"is it (possible|allowed)|are we allowed|may (we|i)|limits?|schedule|explain|meaning|means?|deadline",
    r"within how)\b",
)
_CASE = _words(
    r"\b(customer|client|he|she|him|her|his|they|them|their|this (card|account|payment|charge|transaction)|yesterday|today",
    r"last (week|month|night)|(was|were|been|got|is being) charged)\b",
)
# "A customer" is any customer; "the customer" is the one on the page.
_ANYBODY = _words(
    r"\b(an?|any|every|each|some) (customer|client|person|user)\b", r"\b(customers|clients|people|someone|somebody)\b"
)
# That it happened, said or asked of this customer; a word like "duplicate" alone names a subject.
_TAKEN = r"(charg|bill|debit|book|took|taken|pa(y|id)|deduct|withdrawn|collect)\w*"
_SAYS_TWICE = _words(
    rf"\b{_TAKEN}\b[^.!?]{{0,60}}\b(twice|two times|2x|double|again)\b",
    rf"\b(twice|two times|doubl[ey][- ]?)[^.!?]{{0,20}}\b{_TAKEN}",
    r"(:|\b(this|that|a|the|any|same|sees?|there|says?|shows?|found|find|looks? like)\b)[^.!?]{0,30}"
    r"\b(duplicat\w+|double charges?)\b",
)
_GIVE_BACK = r"(refund|reimburse|(give|pay|send|credit)\w* .{0,40}\bback|return (the|his|her|their) money|money back)"
_ASKS_REFUND = _words(
    r"(^|[.!?;:,]\s*",
    r"\b(please|can|could|would|will|should|must|want\w*|like|ask\w*|need\w*|request\w*|demand\w*|go ahead( and)?|propose|issue",
    r"make|give|do|start|process|and|then|to|for)\s+((you|we|us|i|a|an|the|his|her|their|full|partial)\s+)*)" + _GIVE_BACK,
)
_NO_REFUND = _words(r"\b(do not|don'?t|not|never|without|no)\b[^.!?]{0,15}\b(refund|reimburse)")
_REFUND_STATUS = _words(r"\b(was|were|is|are|has|have|had|did|when|where|why)\b[^.!]{0,40}\brefund(ed|s)?\b[^.!]{0,40}\?")


def read_by_code(text: str, facts: FactSheet) -> Reading:
    """Read a masked message. Deterministic; `sure` only when words and structure agree on one reading."""
    target = find_target(text, facts)
    matched = [intent for intent, cue in _CUES.items() if cue.search(text)]
    if _is_general(text, target):
        return _reading(Intent.QUESTION, target, "sure", handle=None)
    if not matched:
        return _read_without_cue(text, target)
    intent, rivals = _settle(matched, text)
    if rivals:
        return _reading(intent, target, "close", handle=None, alternatives=(intent, *rivals))
    return _read_case(intent, text, target, facts)


def _is_general(text: str, target: Target) -> bool:
    if not _GENERAL.search(text) or target.is_named or _asks_refund_now(text):
        return False
    return bool(_ANYBODY.search(text)) or not _CASE.search(text)


def _asks_refund_now(text: str) -> bool:
    return bool(re.match(r"\s*(please\s+)?(refund|reimburse)\b", text, re.IGNORECASE))


def _read_without_cue(text: str, target: Target) -> Reading:
    if target.handle is not None:
        return _reading(Intent.OTHER, target, "sure", handle=target.handle)
    if _GENERAL.search(text):
        return _reading(Intent.QUESTION, target, "sure", handle=None)
    return _reading(Intent.OTHER, target, "unsure", handle=None)


def _settle(matched: Sequence[Intent], text: str) -> tuple[Intent, tuple[Intent, ...]]:
    """Pick among several cues where one reading contains the other; else name the rivals."""
    found = set(matched)
    if Intent.DUPLICATE_CHARGE in found:
        return Intent.DUPLICATE_CHARGE, ()
    if Intent.REFUND in found:
        others = found - {Intent.REFUND}
        if not others or _ASKS_REFUND.search(text) or others <= {Intent.FEE, Intent.DISPUTE}:
            return Intent.REFUND, ()
    if found == {Intent.DECLINE, Intent.FEE}:
        return Intent.FEE, ()
    if found == {Intent.PAYOUT, Intent.DISPUTE}:
        return Intent.PAYOUT, ()
    first, *rivals = matched
    return first, tuple(rivals)


def _read_case(intent: Intent, text: str, target: Target, facts: FactSheet) -> Reading:
    handle = target.handle
    wants_refund = _wants_refund(intent, text, target, facts)
    if intent in (Intent.DECLINE, Intent.FEE, Intent.PAYOUT) and handle is None and not target.candidates:
        handle = _latest_of(intent, facts)
    if wants_refund and handle is None:
        return _reading(intent, target, "close", handle=None, candidates=target.candidates)
    if wants_refund and len(target.amounts) > 1:
        return _reading(intent, target, "close", handle=handle)
    return _reading(intent, target, "sure", handle=handle, action="refund" if wants_refund else "none")


def _wants_refund(intent: Intent, text: str, target: Target, facts: FactSheet) -> bool:
    if _NO_REFUND.search(text):
        return False
    if intent is Intent.DUPLICATE_CHARGE:
        if _ASKS_REFUND.search(text):
            return True
        is_repeat = any(pair.repeat == target.handle for pair in facts.duplicates)
        is_said = target.is_named or bool(_SAYS_TWICE.search(text))
        return is_said and (is_repeat or len(facts.duplicates) > 1)
    if intent is not Intent.REFUND:
        return False
    return bool(_ASKS_REFUND.search(text)) or not _REFUND_STATUS.search(text)


def _latest_of(intent: Intent, facts: FactSheet) -> str | None:
    for fact in facts.transactions:
        is_match = {
            Intent.DECLINE: fact.status == "declined",
            Intent.FEE: fact.kind == "fee",
            Intent.PAYOUT: fact.kind == "payout",
        }[intent]
        if is_match:
            return fact.handle
    return None


def _reading(
    intent: Intent,
    target: Target,
    sureness: Sureness,
    *,
    handle: str | None,
    action: Literal["refund", "none"] = "none",
    candidates: tuple[str, ...] = (),
    alternatives: tuple[Intent, ...] = (),
) -> Reading:
    amount = target.amounts[0] if len(target.amounts) == 1 else None
    return Reading(
        intent=intent,
        handle=handle,
        action=action,
        sureness=sureness,
        read_by="template",
        amount_minor=amount.amount_minor if amount else None,
        currency=amount.currency if amount else None,
        candidates=candidates,
        alternatives=alternatives,
    )
