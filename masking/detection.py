"""Where are regulated values in a text? Presidio's engine runs our recognizers; here their answers become one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from domain.errors import SetupError
from masking.classes import PiiClass
from masking.known_values import KnownValueFinder
from masking.ner import NerModel
from masking.never_mask import find_protected, is_no_name
from masking.patterns import CHECKED_SCORE, find_patterns
from masking.recognizers import (
    IS_PART,
    KNOWN_PART_SCORE,
    KNOWN_TOKEN,
    LITERAL_SCORE,
    NER_CEILING,
    KnownValuesRecognizer,
    NerRecognizer,
    PatternsRecognizer,
    TokenShapeRecognizer,
    list_uncovered,
)
from masking.validators import digits_of
from masking.vault import KnownValues

POLICY_VERSION = "1"
"""Counts up with every change of rules, thresholds or lists: it is part of the cache key."""

# The recognizers read every language; Presidio wants to be told one.
_LANGUAGE = "en"
_POSTCODE_DIGITS = 5
_NUMBERED = frozenset({"PHONE", "CARD", "IBAN", "ACCOUNT", "ROUTING", "NATIONAL_ID", "PASSPORT", "LICENSE", "BIRTH_DATE", "IP"})
DetectionSource = Literal["literal", "known", "pattern", "model"]


class ClassWithoutRecognizer(SetupError):
    """Say that a class would never be found, so nothing may start."""

    code = "class_without_recognizer"


@dataclass(frozen=True, slots=True)
class Detection:
    """Hold one value's place. `token` is set when the record knows the value already."""

    start: int
    end: int
    pii_class: PiiClass
    source: DetectionSource
    token: str | None = None


class _NoContext(ContextAwareEnhancer):
    """Our rules carry their own context; Presidio's enhancer needs lemmas that no engine makes here."""

    def __init__(self) -> None:
        super().__init__(
            context_similarity_factor=0, min_score_with_context_similarity=0, context_prefix_count=0, context_suffix_count=0
        )

    def enhance_using_context(
        self,
        text: str,  # noqa: ARG002
        raw_results: list[RecognizerResult],
        nlp_artifacts: Any,  # noqa: ARG002
        recognizers: list[EntityRecognizer],  # noqa: ARG002
        context: list[str] | None = None,  # noqa: ARG002
    ) -> list[RecognizerResult]:
        return raw_results


class Detector:
    """Find regulated values. Holds no customer's data; `known_values` come with each text."""

    def __init__(self, recognizers: Sequence[EntityRecognizer]) -> None:
        """Raises: ClassWithoutRecognizer."""
        uncovered = list_uncovered(recognizers)
        if uncovered:
            names = ", ".join(pii_class.value for pii_class in uncovered)
            raise ClassWithoutRecognizer(f"nothing finds {names}: every class needs a recognizer before anything starts")
        nlp_engine = NoOpNlpEngine(models=[{"lang_code": _LANGUAGE, "model_name": "none"}])
        registry = RecognizerRegistry(recognizers=list(recognizers), supported_languages=[_LANGUAGE])
        self._engine = AnalyzerEngine(
            registry=registry, nlp_engine=nlp_engine, supported_languages=[_LANGUAGE], context_aware_enhancer=_NoContext()
        )

    def detect(
        self,
        text: str,
        *,
        known_values: KnownValues | None = None,
        merchants: Collection[str] = (),
        keep: Collection[tuple[int, int]] = (),
    ) -> tuple[Detection, ...]:
        """Return the places in order, without overlaps. `keep` are places to leave alone whatever stands there."""
        extra: list[EntityRecognizer] | None = [_known_recognizer(known_values)] if known_values else None
        results = self._engine.analyze(text=text, language=_LANGUAGE, ad_hoc_recognizers=extra)
        results = [result for result in results if not _is_kept(result, keep)]
        guesses = [result for result in results if result.score < CHECKED_SCORE]
        certain = [result for result in results if result.score >= CHECKED_SCORE]
        protected = [*find_protected(text, merchants), *keep]
        allowed = [part for guess in guesses for part in _cut(guess, protected, text) if _is_worth_it(part, text)]
        detections = _arbitrate([*_without_shared_parts(certain, allowed), *allowed], text)
        return tuple(sorted([*detections, *_uncovered(text, detections, keep)], key=lambda detection: detection.start))


def build_detector(ner_folder: Path, *, regions: tuple[str, ...] = (), ner_sha256: str | None = None) -> Detector:
    """Load the model and build the engine, once a process.

    Raises: NerModelUnusable, ClassWithoutRecognizer.
    """
    model = NerModel(ner_folder, sha256=ner_sha256)
    return Detector([TokenShapeRecognizer(), PatternsRecognizer(regions), NerRecognizer(model)])


def _uncovered(text: str, detections: Sequence[Detection], keep: Collection[tuple[int, int]]) -> list[Detection]:
    """Look again where the found values are gone: what was glued to one of them now stands free."""
    if not detections:
        return []
    rest = list(text)
    for start, end in [*((one.start, one.end) for one in detections), *keep]:
        rest[start:end] = "\0" * (end - start)
    hits = [hit for hit in find_patterns("".join(rest)) if hit.score >= CHECKED_SCORE]
    spans = [
        RecognizerResult(entity_type=hit.pii_class.value, start=hit.start, end=hit.end, score=hit.score, recognition_metadata={})
        for hit in hits
    ]
    return _arbitrate(spans, text)


@lru_cache(maxsize=64)
def _known_recognizer(known_values: KnownValues) -> KnownValuesRecognizer:
    return KnownValuesRecognizer(KnownValueFinder(known_values))


def _is_kept(result: RecognizerResult, keep: Collection[tuple[int, int]]) -> bool:
    return any(result.start < end and start < result.end for start, end in keep)


def _cut(result: RecognizerResult, protected: Sequence[tuple[int, int]], text: str) -> list[RecognizerResult]:
    """Return what is left of a guess outside the protected places, without spaces at its edges."""
    parts = [(result.start, result.end)]
    for start, end in protected:
        parts = [
            piece
            for part in parts
            for piece in ((part[0], min(part[1], start)), (max(part[0], end), part[1]))
            if piece[0] < piece[1]
        ]
    cut = []
    for start, end in parts:
        inner = text[start:end]
        left, right = len(inner) - len(inner.lstrip(" \t\n,.;:-'’")), len(inner.rstrip(" \t\n,;:-'’"))
        if left < right:
            cut.append(_moved(result, start + left, start + right))
    return cut


def _moved(result: RecognizerResult, start: int, end: int) -> RecognizerResult:
    return RecognizerResult(
        entity_type=result.entity_type, start=start, end=end, score=result.score, recognition_metadata=result.recognition_metadata
    )


def _is_worth_it(result: RecognizerResult, text: str) -> bool:
    surface = text[result.start : result.end]
    if result.entity_type == PiiClass.PERSON.value:
        return len(surface) > 1 and not is_no_name(surface)
    if result.entity_type == PiiClass.ADDRESS.value and result.score <= NER_CEILING:
        return any(character.isalpha() for character in surface) or len(digits_of(surface)) >= _POSTCODE_DIGITS
    if result.entity_type in _NUMBERED:
        return any(character.isdigit() for character in surface)
    return any(character.isalnum() for character in surface)


def _without_shared_parts(certain: list[RecognizerResult], guesses: list[RecognizerResult]) -> list[RecognizerResult]:
    """Drop a known first or last name where it stands in a longer name: "Marta Jones" is not the customer Marta Kowalska."""
    longer = [guess for guess in guesses if guess.entity_type == PiiClass.PERSON.value]
    return [
        result
        for result in certain
        if not _metadata(result).get(IS_PART)
        or not any(name.start <= result.start and result.end <= name.end and _length(name) > _length(result) for name in longer)
    ]


def _arbitrate(results: list[RecognizerResult], text: str) -> list[Detection]:
    """Let the surest win, then the longest; what a loser has outside the winners is still a value."""
    taken: list[tuple[int, int]] = []
    detections: list[Detection] = []
    for result in sorted(results, key=lambda one: (-one.score, -_length(one), one.start)):
        for part in _cut(result, taken, text) if any(_overlaps(result, place) for place in taken) else [result]:
            if part is not result and not _is_worth_it(part, text):
                continue
            taken.append((part.start, part.end))
            token = _metadata(part).get(KNOWN_TOKEN) if part is result else None
            detections.append(Detection(part.start, part.end, PiiClass(part.entity_type), _source_of(part), token))
    return sorted(detections, key=lambda detection: detection.start)


def _overlaps(result: RecognizerResult, place: tuple[int, int]) -> bool:
    return bool(result.start < place[1] and place[0] < result.end)


def _length(result: RecognizerResult) -> int:
    return int(result.end - result.start)


def _metadata(result: RecognizerResult) -> dict[str, Any]:
    metadata: dict[str, Any] = result.recognition_metadata or {}
    return metadata


def _source_of(result: RecognizerResult) -> DetectionSource:
    if result.score >= LITERAL_SCORE:
        return "literal"
    if result.score >= KNOWN_PART_SCORE:
        return "known"
    return "pattern" if result.score > NER_CEILING else "model"
