"""Texts of others, read from where the command line says: nothing of them is in the repository.

presidio-research (`data/synth_dataset_v2.json`): general synthetic texts with spans. PolyAI's task-specific datasets: BANKING77
(`banking_data/test.csv`), questions without any value, and NLU++ (`nlupp/data/banking`), utterances with slots.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from bench.masking.labels import FactLabel, LabelledText, Span, ValueLabel
from masking.classes import PiiClass

_RESEARCH_CLASSES = {
    "PERSON": PiiClass.PERSON, "STREET_ADDRESS": PiiClass.ADDRESS, "ZIP_CODE": PiiClass.ADDRESS, "CREDIT_CARD": PiiClass.CARD,
    "PHONE_NUMBER": PiiClass.PHONE, "EMAIL_ADDRESS": PiiClass.EMAIL, "IBAN_CODE": PiiClass.IBAN, "US_SSN": PiiClass.NATIONAL_ID,
    "IP_ADDRESS": PiiClass.IP, "US_DRIVER_LICENSE": PiiClass.LICENSE,
}  # fmt: skip
_NLUPP_NAME = "person_name"


class TextsUnreadable(RuntimeError):
    """Say that a file with others' texts is not what it should be."""


def read_presidio_research(folder: Path) -> list[LabelledText]:
    """Return its texts; places, organisations, dates, ages, titles and nationalities are no values here.

    Raises: TextsUnreadable.
    """
    file = folder / "data" / "synth_dataset_v2.json"
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        return [
            _labelled(f"research-{number}", row["full_text"], [_research_span(span) for span in row["spans"]])
            for number, row in enumerate(rows)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TextsUnreadable(f"{file}: {error}") from error


def read_banking77(file: Path) -> list[LabelledText]:
    """Return the questions of a CSV with columns text and category. Raises: TextsUnreadable."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return [_labelled(f"banking77-{number}", row["text"], []) for number, row in enumerate(csv.DictReader(stream))]
    except (OSError, ValueError, KeyError) as error:
        raise TextsUnreadable(f"{file}: {error!r}") from error


def read_nlupp(folder: Path) -> list[LabelledText]:
    """Return the utterances of the folds; names are values, all other slots are facts. Raises: TextsUnreadable."""
    texts: list[LabelledText] = []
    for file in sorted(folder.glob("fold*.json")):
        try:
            rows = json.loads(file.read_text(encoding="utf-8"))
            for row in rows:
                spans = [_nlupp_span(name, slot) for name, slot in row.get("slots", {}).items()]
                texts.append(_labelled(f"nlupp-{len(texts)}", row["text"], spans))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TextsUnreadable(f"{file}: {error!r}") from error
    if not texts:
        raise TextsUnreadable(f"{folder}: no fold*.json")
    return texts


def _research_span(span: dict[str, str]) -> Span | None:
    pii_class = _RESEARCH_CLASSES.get(span["entity_type"])
    if pii_class is None:
        return None
    return Span(
        int(span["start_position"]), int(span["end_position"]), ValueLabel(pii_class, pii_class.value, "third_party", "-")
    )


def _nlupp_span(name: str, slot: dict[str, list[int]]) -> Span:
    start, end = slot["span"]
    return Span(start, end, ValueLabel(PiiClass.PERSON, name, "third_party", "-") if name == _NLUPP_NAME else FactLabel(name))


def _labelled(text_id: str, text: str, spans: Sequence[Span | None]) -> LabelledText:
    values = tuple(span for span in spans if span is not None and isinstance(span.label, ValueLabel))
    facts = tuple(span for span in spans if span is not None and isinstance(span.label, FactLabel))
    return LabelledText(text_id, text_id.partition("-")[0], "-", text, values, facts, ())
