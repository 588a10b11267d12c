"""Which of our record ids, and which last digits, did somebody type? Pure: finds them, resolves nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from domain.conversation import HandleKind

_KINDS = {
    "txn": HandleKind.TRANSACTION,
    "acc": HandleKind.ACCOUNT,
    "crd": HandleKind.CARD,
    "ben": HandleKind.BENEFICIARY,
    "dsp": HandleKind.DISPUTE,
    "cas": HandleKind.CASE,
}
# Ids come from the bank: a prefix and 6 to 60 letters or digits. Whoever types may write them in capitals.
_TYPED_ID = re.compile(r"(?<![A-Za-z0-9_])(txn|acc|crd|ben|dsp|cas)_([A-Za-z0-9]{6,60})(?![A-Za-z0-9_])", re.IGNORECASE)
_LAST_DIGITS = re.compile(
    r"\b(card|account)\b[^\n.;]{0,24}?(?:\bending(?:\s+(?:in|with))?|\bends\s+(?:in|with)|\blast\s+(?:4|four)(?:\s+digits)?|[*•x.]{2,})\s*(?:is|are|:)?\s*"
    r"(?P<digits>[0-9]{4})(?![0-9])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class TypedReference:
    """Hold where a reference stands in the text, what kind it claims to be, and its id or last four digits."""

    start: int
    end: int
    kind: HandleKind
    value: str
    last_digits: bool


def find_references(text: str) -> tuple[TypedReference, ...]:
    """Find typed ids and `card ending 4242`, in their order, without overlaps."""
    found = [
        TypedReference(match.start(), match.end(), _KINDS[match.group(1).lower()], match.group(0).lower(), last_digits=False)
        for match in _TYPED_ID.finditer(text)
    ]
    for match in _LAST_DIGITS.finditer(text):
        kind = HandleKind.CARD if match.group(1).lower() == "card" else HandleKind.ACCOUNT
        found.append(TypedReference(match.start("digits"), match.end("digits"), kind, match.group("digits"), last_digits=True))
    found.sort(key=lambda reference: reference.start)
    kept: list[TypedReference] = []
    for reference in found:
        if not kept or reference.start >= kept[-1].end:
            kept.append(reference)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class Replacement:
    """Hold one stretch of a text and what to write there."""

    start: int
    end: int
    text: str


def replace_spans(text: str, replacements: tuple[Replacement, ...]) -> str:
    """Write the replacements, which are in order and do not overlap."""
    parts: list[str] = []
    cursor = 0
    for replacement in replacements:
        parts += [text[cursor : replacement.start], replacement.text]
        cursor = replacement.end
    return "".join([*parts, text[cursor:]])
