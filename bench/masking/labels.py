"""What a labelled text is: the text, the values in it, the facts that must stay, and what the record knows of its customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from masking.classes import PiiClass

Owner = Literal["customer", "third_party"]
Part = Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class ValueLabel:
    """Hold what a value is. `kind` is finer than its class; `group` is the culture of its owner's name."""

    pii_class: PiiClass
    kind: str
    owner: Owner
    group: str


@dataclass(frozen=True, slots=True)
class FactLabel:
    """Hold what kind of fact stands here: it must survive."""

    kind: str


@dataclass(frozen=True, slots=True)
class Span:
    """Hold a place in a text, half-open, in characters."""

    start: int
    end: int
    label: ValueLabel | FactLabel


@dataclass(frozen=True, slots=True)
class LabelledText:
    """Hold a text with everything in it that counts. `known` are (class, registered form) of the open customer."""

    text_id: str
    genre: str
    country: str
    text: str
    values: tuple[Span, ...]
    facts: tuple[Span, ...]
    known: tuple[tuple[PiiClass, str], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Hold a piece of a text that is being made, and its label if it has one."""

    text: str
    label: ValueLabel | FactLabel | None = None


def join_pieces(pieces: list[Piece]) -> tuple[str, tuple[Span, ...], tuple[Span, ...]]:
    """Return the whole text, the places of its values and those of its facts."""
    values: list[Span] = []
    facts: list[Span] = []
    start = 0
    for piece in pieces:
        end = start + len(piece.text)
        if isinstance(piece.label, ValueLabel):
            values.append(Span(start, end, piece.label))
        elif isinstance(piece.label, FactLabel):
            facts.append(Span(start, end, piece.label))
        start = end
    return "".join(piece.text for piece in pieces), tuple(values), tuple(facts)
