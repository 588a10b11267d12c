"""What masking did, as counts: no text, no value, no token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from masking.classes import PiiClass
    from masking.detection import DetectionSource


class MaskMeter(Protocol):
    """Count what the masker does. Called from any thread; never raises."""

    def count_text(self, spans: Sequence[tuple[PiiClass, DetectionSource]], *, duration_s: float) -> None:
        """Note a text that was masked anew, what was found in it, and how long that took."""
        ...

    def count_cache_hit(self) -> None:
        """Note a text that was masked before."""
        ...
