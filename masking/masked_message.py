"""What goes into the masker and what comes out: texts with their place, and masked texts with the places of their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.mentions import customer_spans
from domain.origin import Origin
from masking.classes import PiiClass
from masking.detection import Detection, DetectionSource
from masking.text import MaskedText
from masking.tokens import UNKNOWN_REFERENCE, find_tokens
from masking.vault import KnownValues


@dataclass(frozen=True, slots=True)
class MaskScope:
    """Hold where a text stands: the conversation that may resolve its tokens, and whose values they are (the customer).

    Without a conversation it is a record: nothing is granted.
    """

    tenant_id: str
    conversation_id: str | None
    subject_id: str


@dataclass(frozen=True, slots=True)
class TextToMask:
    """Hold one text of several that are masked together. With `message_id` the written forms are kept.

    `whole`: all of it is one value of this class, as a form's field is; nothing is looked for. `is_merchants`: these are a
    merchant's words, in which a guess of the name model would be the merchant's own name.
    """

    text: str = field(repr=False)
    scope: MaskScope
    known_values: KnownValues | None = field(default=None, repr=False)
    message_id: str | None = None
    whole: PiiClass | None = None
    is_merchants: bool = False


@dataclass(frozen=True, slots=True)
class MaskedSpan:
    """Hold one value's place in the original text, its place in the masked one, what stands for it, and whose words it is."""

    start: int
    end: int
    pii_class: PiiClass
    source: DetectionSource
    token: str
    origin: Origin
    masked_start: int
    masked_end: int


@dataclass(frozen=True, slots=True)
class MaskedMessage:
    """Hold a masked text and where its values stood. No value is in here."""

    masked: MaskedText
    spans: tuple[MaskedSpan, ...]


@dataclass(frozen=True, slots=True)
class FoundValues:
    """Hold a text whose values are found and not yet written. `kept` are the tokens that stand in it already."""

    text: str
    scope: MaskScope
    detections: tuple[Detection, ...]
    origins: tuple[Origin, ...]
    kept: tuple[str, ...] = ()

    def surface(self, detection: Detection) -> str:
        """Return how a value is written."""
        return self.text[detection.start : detection.end]


def whole_value(text: str, pii_class: PiiClass) -> tuple[Detection, ...]:
    """Return the text without the spaces at its edges as one value, nothing for a blank one."""
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    return (Detection(start, end, pii_class, "field"),) if start < end else ()


def origins_of(text: str, detections: Sequence[Detection], origin: Origin) -> tuple[Origin, ...]:
    """Return whose words each value is: what an operator quotes is the customer's."""
    quoted = tuple(customer_spans(text)) if origin is Origin.STAFF else ()
    return tuple(Origin.CUSTOMER_TEXT if any(start <= one.start < end for start, end in quoted) else origin for one in detections)


def place_spans(found: FoundValues, used: Sequence[str]) -> tuple[MaskedSpan, ...]:
    """Return each value's place before and after; `used` are the tokens in the order of the values."""
    spans, shift = [], 0
    for one, origin, token in zip(found.detections, found.origins, used, strict=True):
        start = one.start + shift
        end = start + len(token)
        spans.append(MaskedSpan(one.start, one.end, one.pii_class, one.source, token, origin, start, end))
        shift = end - one.end
    return tuple(spans)


def keep_tokens(text: str, granted: frozenset[str]) -> tuple[str, tuple[str, ...]]:
    """Write granted tokens in their exact form and everything else of that shape as unknown."""
    parts: list[str] = []
    kept: list[str] = []
    end = 0
    for match in find_tokens(text):
        parts.append(text[end : match.start])
        if match.token is not None and match.token in granted:
            parts.append(match.token)
            kept.append(match.token)
        else:
            parts.append(UNKNOWN_REFERENCE)
        end = match.end
    return "".join([*parts, text[end:]]), tuple(kept)
