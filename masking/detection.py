"""Where are regulated values in a text? Presidio's engine runs our recognizers; here their answers become one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from domain.errors import SetupError
from masking.account_places import find_unnamed_accounts
from masking.arbitration import Candidate, DetectionSource, Place, Places, arbitrate, cut, join_names, without_shared_parts
from masking.classes import PiiClass
from masking.folding import needs_boundary
from masking.gazetteer import is_everyday, is_small_talk
from masking.known_values import KnownValueFinder
from masking.name_echoes import find_echoes
from masking.ner import NerModel
from masking.never_mask import Protected, find_protected, trim_name
from masking.number_index import NumberIndex
from masking.patterns import CHECKED_SCORE, find_patterns
from masking.phones import DEFAULT_REGIONS
from masking.readings import Reading, read_again
from masking.recognizers import (
    NER_CEILING,
    NER_THRESHOLDS,
    FieldsRecognizer,
    KnownNumbersRecognizer,
    KnownValuesRecognizer,
    NamesRecognizer,
    NerRecognizer,
    PatternsRecognizer,
    SaidRecognizer,
    TextRecognizer,
    TokenShapeRecognizer,
    candidate_of,
    list_uncovered,
)
from masking.structure import Field, find_fields
from masking.vault import KnownValues

__all__ = ["POLICY_VERSION", "ClassWithoutRecognizer", "Detection", "DetectionSource", "Detector", "Detects", "build_detector"]
# The recognizers read every language; Presidio wants to be told one.
_LANGUAGE = "en"
_READ_AROUND = 60
"""So many characters beside a place are read again with it: a word that names a value stands there."""
_SENTENCE_WORDS = 2
_POSTCODE_DIGITS = 5
_NUMBERED = frozenset({
    PiiClass.PHONE, PiiClass.CARD, PiiClass.IBAN, PiiClass.ACCOUNT, PiiClass.ROUTING, PiiClass.NATIONAL_ID, PiiClass.PASSPORT,
    PiiClass.LICENSE, PiiClass.BIRTH_DATE, PiiClass.IP,
})  # fmt: skip


def _policy_version() -> str:
    """Return what changes with every change of thresholds or word lists; the number in front changes with the rules."""
    digest = hashlib.sha256(repr(sorted(NER_THRESHOLDS.items())).encode())
    for path in sorted((Path(__file__).parent / "words").glob("*.txt")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"2.{digest.hexdigest()[:12]}"


POLICY_VERSION = _policy_version()
"""Part of the cache key."""


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


class Detects(Protocol):
    """Find regulated values, in this process or in another."""

    def detect(
        self,
        text: str,
        *,
        known_values: KnownValues | None = None,
        known_numbers: NumberIndex | None = None,
        merchants: Collection[str] = (),
        keep: Collection[Place] = (),
    ) -> tuple[Detection, ...]:
        """Return the places in order, without overlaps. `keep` are places to leave alone whatever stands there."""


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
    """Find regulated values. Holds no customer's data; `known_values` come with each text. Safe in threads."""

    def __init__(self, recognizers: Sequence[TextRecognizer]) -> None:
        """Raises: ClassWithoutRecognizer."""
        uncovered = list_uncovered(recognizers)
        if uncovered:
            names = ", ".join(pii_class.value for pii_class in uncovered)
            raise ClassWithoutRecognizer(f"nothing finds {names}: every class needs a recognizer before anything starts")
        nlp_engine = NoOpNlpEngine(models=[{"lang_code": _LANGUAGE, "model_name": "none"}])
        registry = RecognizerRegistry(recognizers=list(recognizers), supported_languages=[_LANGUAGE])
        self._recognizers = tuple(recognizers)
        self._engine = AnalyzerEngine(
            registry=registry, nlp_engine=nlp_engine, supported_languages=[_LANGUAGE], context_aware_enhancer=_NoContext()
        )

    def detect(
        self,
        text: str,
        *,
        known_values: KnownValues | None = None,
        known_numbers: NumberIndex | None = None,
        merchants: Collection[str] = (),
        keep: Collection[Place] = (),
    ) -> tuple[Detection, ...]:
        """Return the places in order, without overlaps. `keep` are places to leave alone whatever stands there."""
        fields = find_fields(text)
        extra = _list_extra(known_values, known_numbers)
        results = self._engine.analyze(text=text, language=_LANGUAGE, ad_hoc_recognizers=list(extra) or None)
        # The engine keeps the surest of two places of a class, and what a key says may still turn out to be no name.
        candidates = [*(candidate_of(result) for result in results), *FieldsRecognizer(fields).find(text)]
        for reading in read_again(text):
            candidates += _read(text, reading, [*self._recognizers, *extra])
        kept = Places(keep)
        candidates = [one for one in candidates if not kept.touches(one.start, one.end)]
        protected = find_protected(text, merchants, fields=fields)
        candidates = join_names(_within_facts(candidates, protected, fields, text))
        winners = arbitrate(without_shared_parts(candidates), text, is_worth_it=_is_worth_it)
        winners += _list_uncovered_values(text, winners, keep)
        taken = Places([*keep, *protected.certain, *protected.likely])
        winners += find_echoes(text, winners, taken)
        winners += find_unnamed_accounts(text, winners, taken)
        detections = [Detection(one.start, one.end, one.pii_class, one.source, one.token) for one in winners]
        return tuple(sorted(detections, key=lambda one: one.start))


def build_detector(ner_folder: Path, *, regions: tuple[str, ...] = DEFAULT_REGIONS, ner_sha256: str | None = None) -> Detector:
    """Load the model and build the engine, once a process.

    Raises: NerModelUnusable, ClassWithoutRecognizer.
    """
    model = NerModel(ner_folder, sha256=ner_sha256)
    return Detector(
        [TokenShapeRecognizer(), PatternsRecognizer(regions), NamesRecognizer(), SaidRecognizer(), NerRecognizer(model)]
    )


def _list_extra(known_values: KnownValues | None, known_numbers: NumberIndex | None) -> list[TextRecognizer]:
    extra: list[TextRecognizer] = []
    if known_values is not None:
        extra.append(_known_recognizer(known_values))
    if known_numbers is not None:
        extra.append(KnownNumbersRecognizer(known_numbers))
    return extra


def forget_known_values() -> None:
    """Drop the finders that are kept: a subject was erased."""
    _known_recognizer.cache_clear()


@lru_cache(maxsize=64)
def _known_recognizer(known_values: KnownValues) -> KnownValuesRecognizer:
    return KnownValuesRecognizer(KnownValueFinder(known_values))


def _read(text: str, reading: Reading, recognizers: Sequence[TextRecognizer]) -> Iterator[Candidate]:
    """Yield what stands only in another reading, at its places in the text. Looks where the reading differs, and around."""
    for low, high in reading.list_changes(text, margin=_READ_AROUND):
        part = reading.text[low:high]
        for recognizer in recognizers:
            for found in recognizer.find(part) if recognizer.reads_again else ():
                start, end = reading.span(low + found.start, low + found.end)
                if text[start:end] != part[found.start : found.end]:
                    yield replace(found, start=start, end=end)


def _within_facts(candidates: Sequence[Candidate], protected: Protected, fields: Sequence[Field], text: str) -> list[Candidate]:
    """Cut guesses where a fact stands. Check digits and the record overrule any fact, a word beside the value most of them."""
    facts = [*protected.certain, *protected.likely]
    certain, every, alone = (
        Places([*protected.certain, *protected.kept]),
        Places([*facts, *protected.kept]),
        Places(protected.alone),
    )
    named = Places(facts)
    borders = Places((field.start - 1, field.start) for field in fields) if fields else Places()
    allowed: list[Candidate] = []
    for one in candidates:
        if one.score >= CHECKED_SCORE or one.source == "field":
            is_shop = one.source == "field" and one.pii_class is PiiClass.PERSON and _is_no_person(one, every, alone, text)
            if not is_shop:
                allowed.append(one)
            continue
        is_announced = one.pii_class is PiiClass.PERSON and one.source == "pattern"
        places = named if is_announced else every if one.score <= NER_CEILING else certain
        for inner in cut(one, borders, text):
            for piece in cut(inner, places, text):
                part = _without_tail(piece, text) if piece.source == "model" else piece
                shaped = trim_name(part, text) if part.pii_class is PiiClass.PERSON else _trim_place(part, alone, text)
                if shaped is None or (one.score <= NER_CEILING and alone.holds(shaped.start, shaped.end)):
                    continue
                if _is_worth_it(shaped, text):
                    allowed.append(shaped)
    return allowed


def _without_tail(part: Candidate, text: str) -> Candidate:
    """Take off letters that stand without spaces behind a Latin word: they belong to the next one."""
    end = part.end
    while end > part.start + 1 and text[end - 1].isalpha() and not needs_boundary(text[end - 1]):
        end -= 1
    return part if end == part.end else replace(part, end=end)


def _trim_place(part: Candidate, alone: Places, text: str) -> Candidate | None:
    """Drop a model's guess at an address that is a shop and words in small letters."""
    if part.pii_class is not PiiClass.ADDRESS or part.source != "model" or not alone.touches(part.start, part.end):
        return part
    rest = "".join(text[start:end] for start, end in alone.rest_of(part.start, part.end))
    return part if any(character.isdigit() or character.isupper() for character in rest) else None


def _is_no_person(one: Candidate, facts: Places, alone: Places, text: str) -> bool:
    """Say whether a field that should hold a name holds a shop, a company or a sentence: then the other finders decide."""
    if facts.holds(one.start, one.end) or alone.holds(one.start, one.end):
        return True
    return sum(is_small_talk(word) for word in text[one.start : one.end].split()) >= _SENTENCE_WORDS


def _is_worth_it(candidate: Candidate, text: str) -> bool:
    surface = text[candidate.start : candidate.end]
    if candidate.pii_class is PiiClass.PERSON:
        return candidate.source in {"known", "field"} or sum(map(str.isalpha, surface)) > 1
    if candidate.pii_class is PiiClass.ADDRESS and candidate.score <= NER_CEILING:
        words = surface.split()
        if all(word.islower() and is_everyday(word) for word in words):
            return False
        return any(map(str.isalpha, surface)) or sum(map(str.isdigit, surface)) == _POSTCODE_DIGITS
    if candidate.pii_class in _NUMBERED and candidate.source == "model":
        return any(character.isdigit() for character in surface)
    return any(character.isalnum() for character in surface)


def _list_uncovered_values(text: str, found: Sequence[Candidate], keep: Collection[Place]) -> list[Candidate]:
    """Look again where the found values are gone: what was glued to one of them now stands free."""
    glued = [(max(0, one.start - _READ_AROUND), one.end + _READ_AROUND) for one in found if _is_glued(text, one)]
    if not glued:
        return []
    rest = list(text)
    for start, end in [*((one.start, one.end) for one in found), *keep]:
        rest[start:end] = "\0" * (end - start)
    bare = "".join(rest)
    candidates = [
        Candidate(low + hit.start, low + hit.end, hit.pii_class, hit.score, "pattern")
        for low, high in Places(glued)
        for hit in find_patterns(bare[low:high])
        if hit.score >= CHECKED_SCORE
    ]
    return arbitrate(candidates, text, is_worth_it=_is_worth_it)


def _is_glued(text: str, one: Candidate) -> bool:
    return (one.start > 0 and text[one.start - 1].isalnum()) or (one.end < len(text) and text[one.end].isalnum())
