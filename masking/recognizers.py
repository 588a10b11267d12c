"""Our finders in the shape that Presidio's engine runs: one recognizer for each way of finding, none of Presidio's own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from presidio_analyzer import EntityRecognizer, RecognizerResult

from masking.classes import PiiClass
from masking.known_values import KnownValueFinder
from masking.ner import NER_CLASSES, NerModel
from masking.patterns import RULES, find_patterns
from masking.tokens import find_tokens
from masking.validators import has_digits

LITERAL_SCORE = 1.0
KNOWN_SCORE = 0.99
KNOWN_PART_SCORE = 0.97
NER_CEILING = 0.8
"""A model's guess counts less than any rule: its probability is scaled to this."""
KNOWN_TOKEN = "known_token"  # noqa: S105
IS_PART = "is_part"

# Class by class what a wrong guess costs against what a leak costs: names and addresses are taken on suspicion, numbers are not.
NER_THRESHOLDS: Mapping[PiiClass, float] = {
    PiiClass.PERSON: 0.25,
    PiiClass.ADDRESS: 0.30,
    PiiClass.EMAIL: 0.30,
    PiiClass.PHONE: 0.40,
    PiiClass.ACCOUNT: 0.50,
    PiiClass.ROUTING: 0.50,
    PiiClass.NATIONAL_ID: 0.45,
    PiiClass.PASSPORT: 0.45,
    PiiClass.LICENSE: 0.50,
}
_ENOUGH_DIGITS = has_digits(4)
_NUMBERED = frozenset(NER_CLASSES) - {PiiClass.PERSON, PiiClass.ADDRESS, PiiClass.EMAIL}


class _Recognizer(EntityRecognizer):
    """Look at the text alone: there are no artifacts of an NLP pipeline, and nobody asks for single entities."""

    def load(self) -> None:
        """Need nothing."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:  # noqa: ARG002
        """Return the places."""
        return self.find(text)

    @abstractmethod
    def find(self, text: str) -> list[RecognizerResult]:
        """Return the places."""


class TokenShapeRecognizer(_Recognizer):
    """Find text that somebody typed in the shape of a token."""

    def __init__(self) -> None:
        super().__init__(supported_entities=[PiiClass.LITERAL.value], name="token_shape")

    def find(self, text: str) -> list[RecognizerResult]:
        """Return the places."""
        return [_result(PiiClass.LITERAL, match.start, match.end, LITERAL_SCORE) for match in find_tokens(text)]


class PatternsRecognizer(_Recognizer):
    """Find values by check digits, shape and the words beside them."""

    def __init__(self, regions: tuple[str, ...]) -> None:
        classes = sorted({rule.pii_class.value for rule in RULES} | {PiiClass.IBAN.value, PiiClass.PHONE.value})
        super().__init__(supported_entities=classes, name="patterns")
        self._regions = regions

    def find(self, text: str) -> list[RecognizerResult]:
        """Return the places."""
        hits = find_patterns(text, regions=self._regions)
        return [_result(hit.pii_class, hit.start, hit.end, hit.score) for hit in hits]


class NerRecognizer(_Recognizer):
    """Find names, addresses and numbers by the model."""

    def __init__(self, model: NerModel, thresholds: Mapping[PiiClass, float] = NER_THRESHOLDS) -> None:
        super().__init__(supported_entities=[pii_class.value for pii_class in NER_CLASSES], name="rampart")
        self._model = model
        self._thresholds = thresholds

    def find(self, text: str) -> list[RecognizerResult]:
        """Return the places. A number class needs digits, whatever the model thinks of the words."""
        results = []
        for span in self._model.find(text, self._thresholds):
            if span.pii_class in _NUMBERED and not _ENOUGH_DIGITS(text[span.start : span.end]):
                continue
            results.append(_result(span.pii_class, span.start, span.end, span.probability * NER_CEILING))
        return results


class KnownValuesRecognizer(_Recognizer):
    """Find what the record of one subject holds. Given to the engine for one text, not registered."""

    def __init__(self, finder: KnownValueFinder) -> None:
        super().__init__(supported_entities=[pii_class.value for pii_class in PiiClass], name="known_values")
        self._finder = finder

    def find(self, text: str) -> list[RecognizerResult]:
        """Return the places, each with the token that the value has already."""
        results = []
        for hit in self._finder.find(text):
            score = KNOWN_PART_SCORE if hit.is_part else KNOWN_SCORE
            metadata = {KNOWN_TOKEN: hit.known.token, IS_PART: hit.is_part}
            results.append(_result(hit.known.pii_class, hit.start, hit.end, score, metadata))
        return results


def list_uncovered(recognizers: Sequence[EntityRecognizer]) -> list[PiiClass]:
    """Return the classes that none of these recognizers finds."""
    covered = {entity for recognizer in recognizers for entity in recognizer.get_supported_entities()}
    return [pii_class for pii_class in PiiClass if pii_class.value not in covered]


def _result(pii_class: PiiClass, start: int, end: int, score: float, metadata: dict[str, Any] | None = None) -> RecognizerResult:
    return RecognizerResult(
        entity_type=pii_class.value, start=start, end=end, score=score, recognition_metadata=dict(metadata or {})
    )
