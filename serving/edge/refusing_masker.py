"""What stands in for the masker where its model may not be used: every text is refused, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, cast

import structlog

from domain.errors import TellergateError
from serving.edge.boundary import MaskingFailed

if TYPE_CHECKING:
    from masking.masker import Masker

_LOG = structlog.get_logger("edge.boundary")


class _RefusingMasker:
    """Refuse whatever a masker can do, by any name: so that nothing new is let through by oversight."""

    def __init__(self, refusal: TellergateError) -> None:
        self._refusal = refusal

    def __getattr__(self, name: str) -> NoReturn:
        raise MaskingFailed(f"no text is taken, because none can be masked: {self._refusal.message}", code=self._refusal.code)


def refuse_masking(refusal: TellergateError) -> Masker:
    """Return a masker of which every use raises MaskingFailed with the refusal's code."""
    _LOG.error("masking_refused", reason=refusal.message, code=refusal.code)
    return cast("Masker", _RefusingMasker(refusal))
