"""Mask one text with a record that comes with it: the way of a message, without a database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from masking.classes import EmptyValue, PiiClass, canonical_form, class_of_name
from masking.detection import Detection, Detects, build_detector
from masking.input_text import require_text
from masking.ner import NerModelUnusable
from masking.tokens import mint_token
from masking.vault import KnownValue, KnownValues
from masking.writing import Writer

_MODEL_FILES = ("model.onnx", "tokenizer.json", "config.json")


@dataclass(frozen=True, slots=True)
class LocallyMasked:
    """Hold a masked text, what was found in it, and how each value was written: (token, written form) in order."""

    masked: str
    detections: tuple[Detection, ...]
    surfaces: tuple[tuple[str, str], ...]


class LocalMasker:
    """Mask texts under one key. Loading takes seconds, a text milliseconds."""

    def __init__(self, detector: Detects, token_key: bytes) -> None:
        self._detector = detector
        self._key = token_key
        self._writer = Writer()

    def mask(self, text: str, known: Sequence[tuple[str, str]] = ()) -> LocallyMasked:
        """Mask a text. `known` are (class by any name, value); what is empty is left out.

        Raises: NotText, TextTooLong, WritingFailed.
        """
        detections = self._detector.detect(require_text(text), known_values=self._read_known(known))
        token_of: dict[tuple[PiiClass, str], str] = {}
        for one in sorted(detections, key=lambda one: one.token is None):
            surface = text[one.start : one.end]
            token_of.setdefault((one.pii_class, surface), one.token or self._mint(one.pii_class, surface, text))
        surfaces = [(one.pii_class, text[one.start : one.end]) for one in detections]
        return LocallyMasked(
            masked=self._writer.write(text, detections, token_of),
            detections=detections,
            surfaces=tuple((token_of[surface], surface[1]) for surface in surfaces),
        )

    def _read_known(self, known: Sequence[tuple[str, str]]) -> KnownValues | None:
        values = []
        for name, value in known:
            pii_class = class_of_name(name)
            if any(character.isalnum() for character in value):
                values.append(KnownValue(pii_class, value, self._mint(pii_class, value)))
        if not values:
            return None
        version = hashlib.sha256(
            repr([(value.pii_class, value.value) for value in values]).encode("utf-8", "replace")
        ).hexdigest()
        return KnownValues("local", version, tuple(values))

    def _mint(self, pii_class: PiiClass, surface: str, text: str = "") -> str:
        """Return the token of a value. That of a secret is the text's own: the same PIN can't be counted over texts."""
        if pii_class is PiiClass.SECRET:
            return mint_token(self._key, pii_class=pii_class, canonical=f"{hashlib.sha256(text.encode()).hexdigest()}|{surface}")
        try:
            canonical = canonical_form(pii_class, surface)
        except EmptyValue:
            canonical = surface
        return mint_token(self._key, pii_class=pii_class, canonical=canonical)


def load_local_masker(models_dir: Path, token_key: bytes) -> LocalMasker:
    """Load the detector of this machine. Raises: NerModelUnusable, ClassWithoutRecognizer."""
    folder = models_dir / "ner"
    expected = _read_hashes(models_dir / "manifest.json")
    for name in _MODEL_FILES[1:]:
        path = folder / name
        if name in expected and path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != expected[name]:
            raise NerModelUnusable(f"{path} is not the file that was set up (its hash differs): run the set-up again")
    return LocalMasker(build_detector(folder, ner_sha256=expected.get(_MODEL_FILES[0])), token_key)


def _read_hashes(path: Path) -> dict[str, str]:
    """Return the SHA-256 of the model's files as set-up noted them; nothing where the models are one's own."""
    if not path.exists():
        return {}
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["ner"]["files"]
        return {name: str(files[name]["sha256"]) for name in _MODEL_FILES if name in files}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NerModelUnusable(f"{path} does not say which name model belongs here: {type(error).__name__}") from None
