"""Our finders in the shape that Presidio's engine runs: one recognizer for each way of finding, none of Presidio's own."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from presidio_analyzer import EntityRecognizer, RecognizerResult

from masking.arbitration import Candidate
from masking.classes import RECORD_ONLY, PiiClass
from masking.folding import needs_boundary
from masking.gazetteer import is_listed_name, is_place
from masking.known_values import KnownValueFinder
from masking.name_rules import NAME_SCORE, find_names
from masking.ner import NER_CLASSES, NerModel, NerSpan
from masking.never_mask import is_edge_word
from masking.number_index import NumberIndex
from masking.patterns import RULES, find_patterns
from masking.readings import read_clean
from masking.spoken import find_said_runs
from masking.structure import Field
from masking.tokens import find_tokens
from masking.validators import has_digits

LITERAL_SCORE = 1.0
KNOWN_SCORE = 0.99
NUMBER_SCORE = 0.985
KNOWN_PART_SCORE = 0.97
FIELD_SCORE = 0.9
NER_CEILING = 0.8
"""A model's guess counts less than any rule: its probability is scaled to this."""

# Class by class what a wrong guess costs against what a leak costs: names and addresses are taken on suspicion, numbers are not.
NER_THRESHOLDS: Mapping[PiiClass, float] = {
    PiiClass.PERSON: 0.10,
    PiiClass.ADDRESS: 0.20,
    PiiClass.EMAIL: 0.30,
    PiiClass.PHONE: 0.40,
    PiiClass.ACCOUNT: 0.50,
    PiiClass.ROUTING: 0.50,
    PiiClass.NATIONAL_ID: 0.50,
    PiiClass.PASSPORT: 0.60,
    PiiClass.LICENSE: 0.60,
}
# Below its own threshold a person is believed where a list holds one of the words.
_LISTED_PERSON_THRESHOLD = 0.04
_WORD = re.compile(r"[^\W\d_]+")
_ENOUGH_DIGITS = has_digits(4)
_NUMBERED = frozenset(NER_CLASSES) - {PiiClass.PERSON, PiiClass.ADDRESS, PiiClass.EMAIL}
_CANDIDATE = "candidate"
_MIN_SAID = 4
_LETTERS_A_WORD = 6
_LOOK_BACK = 40
# The last four digits of a card and the number of a case are facts, also when they are said.
_KEPT_BEFORE = re.compile(
    r"(?:\b(?:ending|ends|last (?:four|4)(?: digits)?|reference|ref|case|ticket|order|invoice|dispute|claim)\b)[^.\n]{0,24}$",
    re.IGNORECASE,
)
_EVERY_CLASS = tuple(pii_class.value for pii_class in PiiClass)


class TextRecognizer(EntityRecognizer):
    """Look at the text alone: there are no artifacts of an NLP pipeline, and nobody asks for single entities."""

    reads_again = False
    """Whether it also looks at the text's other readings."""

    def load(self) -> None:
        """Need nothing."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:  # noqa: ARG002
        """Return the places."""
        return [_to_result(candidate) for candidate in self.find(text)]

    @abstractmethod
    def find(self, text: str) -> Iterator[Candidate]:
        """Yield the places."""


class TokenShapeRecognizer(TextRecognizer):
    """Find text that somebody typed in the shape of a token."""

    def __init__(self) -> None:
        super().__init__(supported_entities=[PiiClass.LITERAL.value], name="token_shape")

    def find(self, text: str) -> Iterator[Candidate]:
        """Yield the places."""
        for match in find_tokens(text):
            yield Candidate(match.start, match.end, PiiClass.LITERAL, LITERAL_SCORE, "literal")


class PatternsRecognizer(TextRecognizer):
    """Find values by check digits, shape and the words beside them."""

    reads_again = True

    def __init__(self, regions: tuple[str, ...]) -> None:
        classes = sorted({rule.pii_class.value for rule in RULES} | {PiiClass.IBAN.value, PiiClass.PHONE.value})
        super().__init__(supported_entities=classes, name="patterns")
        self._regions = regions

    def find(self, text: str) -> Iterator[Candidate]:
        """Yield the places."""
        for hit in find_patterns(text, regions=self._regions):
            yield Candidate(hit.start, hit.end, hit.pii_class, hit.score, "pattern")


class FieldsRecognizer(TextRecognizer):
    """Find the values of fields whose keys say what they are. Made for one text, not registered."""

    def __init__(self, fields: Sequence[Field]) -> None:
        super().__init__(supported_entities=list(_EVERY_CLASS), name="fields")
        self._fields = fields

    def find(self, text: str) -> Iterator[Candidate]:
        """Yield the places."""
        for field in self._fields:
            if field.pii_class is not None and not field.keep and any(map(str.isalnum, text[field.start : field.end])):
                yield Candidate(field.start, field.end, field.pii_class, FIELD_SCORE, "field")


class NamesRecognizer(TextRecognizer):
    """Find names by the words around them and by lists of names, where a model sees none."""

    def __init__(self) -> None:
        super().__init__(supported_entities=[PiiClass.PERSON.value], name="names")

    def find(self, text: str) -> Iterator[Candidate]:
        """Yield the places."""
        clean = read_clean(text)
        for start, end, score in find_names(clean.text if clean else text):
            yield Candidate(*(clean.span(start, end) if clean else (start, end)), PiiClass.PERSON, score, "pattern")


class SaidRecognizer(TextRecognizer):
    """Find what is spelled or counted out word by word: nobody does that with a fact."""

    def __init__(self) -> None:
        super().__init__(supported_entities=[PiiClass.PERSON.value, PiiClass.ACCOUNT.value], name="said")

    def find(self, text: str) -> Iterator[Candidate]:
        """Yield the places."""
        for start, end, characters in find_said_runs(text):
            if _KEPT_BEFORE.search(text, max(0, start - _LOOK_BACK), start) or not _is_enough(text[start:end], characters):
                continue
            if not characters.isalpha():
                yield Candidate(start, end, PiiClass.ACCOUNT, NAME_SCORE, "pattern")
            elif not is_edge_word(characters.casefold()):
                yield Candidate(start, end, PiiClass.PERSON, NAME_SCORE, "pattern")


def _is_enough(surface: str, characters: str) -> bool:
    """Say whether it is long enough for a value: fewer letters are enough with a word for each."""
    return len(characters) >= (_MIN_SAID if len(surface) < _LETTERS_A_WORD * len(characters) else 2)


class NerRecognizer(TextRecognizer):
    """Find names, addresses and numbers by the model."""

    def __init__(self, model: NerModel, thresholds: Mapping[PiiClass, float] = NER_THRESHOLDS) -> None:
        super().__init__(supported_entities=[pii_class.value for pii_class in NER_CLASSES], name="rampart")
        self._model = model
        self._thresholds = thresholds

    def find(self, text: str) -> Iterator[Candidate]:
        """Yield the places, read without invisible characters. A number class needs digits, whatever the model thinks."""
        clean = read_clean(text)
        read = clean.text if clean else text
        for span in self._model.find(read, {**self._thresholds, PiiClass.PERSON: _LISTED_PERSON_THRESHOLD}):
            start, end = span.start, span.end
            # Letters that stand without spaces beside a Latin word belong to the next one.
            while end > start + 1 and not needs_boundary(read[end - 1]):
                end -= 1
            pii_class = self._class_of(span, read[start:end])
            if pii_class is not None:
                start, end = clean.span(start, end) if clean else (start, end)
                yield Candidate(start, end, pii_class, span.probability * NER_CEILING, "model")

    def _class_of(self, span: NerSpan, surface: str) -> PiiClass | None:
        """Return the class to take it for, None for nothing: a town that is somebody's name is a person."""
        words = _WORD.findall(surface)
        if not any(map(needs_boundary, surface)):
            # The model reads Latin letters; what it makes of these is chance.
            return None
        if span.pii_class is None:
            named = [word for word in words if is_listed_name(word) and not is_place(word)]
            return PiiClass.PERSON if named and words[0][0].isupper() else None
        if span.pii_class is PiiClass.PERSON and span.probability < self._thresholds[PiiClass.PERSON]:
            return PiiClass.PERSON if any(is_listed_name(word) for word in words) else None
        if span.pii_class in _NUMBERED and not _ENOUGH_DIGITS(surface):
            return PiiClass.PERSON if not any(map(str.isdigit, surface)) and any(map(is_listed_name, words)) else None
        return span.pii_class


class KnownValuesRecognizer(TextRecognizer):
    """Find what the record of one subject holds. Made for one subject, not registered."""

    reads_again = True

    def __init__(self, finder: KnownValueFinder) -> None:
        super().__init__(supported_entities=list(_EVERY_CLASS), name="known_values")
        self._finder = finder

    def find(self, text: str) -> Iterator[Candidate]:
        """Yield the places, each with the token that the value has already."""
        for hit in self._finder.find(text):
            score = KNOWN_PART_SCORE if hit.is_part else KNOWN_SCORE
            yield Candidate(hit.start, hit.end, hit.known.pii_class, score, "known", hit.known.token, hit.is_part)


class KnownNumbersRecognizer(TextRecognizer):
    """Find the numbers of any customer of the tenant. Made for one tenant, not registered."""

    reads_again = True

    def __init__(self, index: NumberIndex) -> None:
        super().__init__(supported_entities=list(_EVERY_CLASS), name="known_numbers")
        self._index = index

    def find(self, text: str) -> Iterator[Candidate]:
        """Yield the places. They have no token here: the vault finds the value's own by its identity."""
        for hit in self._index.find(text):
            yield Candidate(hit.start, hit.end, hit.pii_class, NUMBER_SCORE, "known")


def candidate_of(result: RecognizerResult) -> Candidate:
    """Return what a recognizer of ours put into a result of the engine."""
    candidate: Candidate = result.recognition_metadata[_CANDIDATE]
    return candidate


def list_uncovered(recognizers: Sequence[EntityRecognizer]) -> list[PiiClass]:
    """Return the classes that none of these recognizers finds, but for those that only a record can name."""
    covered = {entity for recognizer in recognizers for entity in recognizer.get_supported_entities()}
    return [pii_class for pii_class in PiiClass if pii_class.value not in covered and pii_class not in RECORD_ONLY]


def _to_result(candidate: Candidate) -> RecognizerResult:
    return RecognizerResult(
        entity_type=candidate.pii_class.value,
        start=candidate.start,
        end=candidate.end,
        score=candidate.score,
        recognition_metadata={_CANDIDATE: candidate},
    )
