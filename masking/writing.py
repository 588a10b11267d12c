"""Put tokens in the place of values: Presidio's AnonymizerEngine with our operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from presidio_anonymizer import AnonymizerEngine, OperatorConfig
from presidio_anonymizer.entities import ConflictResolutionStrategy
from presidio_anonymizer.entities import RecognizerResult as AnonymizerSpan
from presidio_anonymizer.operators import Operator, OperatorType

from domain.errors import BrokenInvariant
from masking.classes import PiiClass
from masking.detection import Detection

_TOKEN_OF = "token_of"  # noqa: S105
TokenOf = Mapping[tuple[PiiClass, str], str]
"""Which token stands for a class and a written form in this text."""


class WritingFailed(BrokenInvariant):
    """Say that a text could not be masked, so no masked text of it exists."""

    code = "writing_failed"


class VaultOperator(Operator):
    """Replace a value by the token that the vault gave it. No token, no text."""

    def operate(self, text: str, params: dict[str, Any] | None = None) -> str:
        """Return the token."""
        given = params or {}
        token_of: TokenOf = given[_TOKEN_OF]
        return token_of[PiiClass(given["entity_type"]), text]

    def validate(self, params: dict[str, Any] | None = None) -> None:
        """Refuse to run without tokens."""
        if not params or _TOKEN_OF not in params:
            raise WritingFailed("the vault operator was given no tokens")

    def operator_name(self) -> str:
        """Return the name under which the engine finds it."""
        return "vault_token"

    def operator_type(self) -> OperatorType:
        """Return that it hides."""
        return OperatorType.Anonymize


class Writer:
    """Write masked text."""

    def __init__(self) -> None:
        self._engine = AnonymizerEngine()  # type: ignore[no-untyped-call]
        self._engine.add_anonymizer(VaultOperator)

    def write(self, text: str, detections: Sequence[Detection], token_of: TokenOf) -> str:
        """Return the text with every detection replaced. Raises: WritingFailed."""
        if not detections:
            return text
        spans = [AnonymizerSpan(entity_type=one.pii_class.value, start=one.start, end=one.end, score=1.0) for one in detections]
        operators = {"DEFAULT": OperatorConfig("vault_token", {_TOKEN_OF: token_of})}
        try:
            result = self._engine.anonymize(
                text=text,
                analyzer_results=spans,
                operators=operators,
                conflict_resolution=ConflictResolutionStrategy.REMOVE_INTERSECTIONS,
                merge_entities_with_spaces=False,
            )
        except Exception as error:  # noqa: BLE001
            # The engine's message may quote the text, so only its kind is told.
            raise WritingFailed(f"masking failed: {type(error).__name__}") from None
        if len(result.items) != len(detections):
            raise WritingFailed(f"masking wrote {len(result.items)} of {len(detections)} values")
        return str(result.text)
