"""The boundary over the masker and the unmasker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import structlog

from domain.errors import InvalidInput, TellergateError, Unavailable
from masking.entitlements import Purpose as RevealPurpose
from masking.entitlements import Viewer as Reader
from masking.masker import Masker, MaskScope
from masking.unmask import RecordField, RevealScope, Unmasker
from serving.edge.boundary import MaskedInput, MaskingFailed, Place, Purpose, RecordToken, Viewer

_LOG = structlog.get_logger("edge.boundary")


@dataclass(frozen=True, slots=True)
class MaskingBoundary:
    """Implement `serving.edge.boundary.Boundary`."""

    masker: Masker
    unmasker: Unmasker

    def mask_input(self, text: str, *, place: Place, actor: str, merchants: Sequence[str]) -> MaskedInput:
        """Mask what a person wrote about a customer. Raises: MaskingFailed, InvalidInput."""
        with _failing_closed():
            message = self.masker.mask_message(
                text,
                scope=_scope(place),
                known_values=self.masker.open_conversation(_scope(place), actor=actor),
                merchants=merchants,
                message_id=place.message_id,
            )
        return MaskedInput(message.masked.text, message.masked.tokens)

    def mask_again(self, text: str, *, place: Place, actor: str, merchants: Sequence[str]) -> str:
        """Mask what the agents wrote. Raises: MaskingFailed, InvalidInput."""
        with _failing_closed():
            known = self.masker.open_conversation(_scope(place), actor=actor)
            message = self.masker.mask_output(text, scope=_scope(place), known_values=known, merchants=merchants)
        return message.masked.text

    def unmask(self, text: str, *, viewer: Viewer, place: Place, as_written: bool) -> str:
        """Return the text with the values this viewer may see."""
        with _failing_closed():
            return self.unmasker.unmask_text(
                text,
                viewer=_reader(viewer, "conversation"),
                scope=RevealScope(place.tenant_id, place.conversation_id, place.customer_id),
                message_id=place.message_id if as_written else None,
            )

    def reveal(self, tokens: Sequence[RecordToken], *, viewer: Viewer, purpose: Purpose) -> Mapping[str, str]:
        """Return a value or a chip for each token."""
        fields = [RecordField(token.subject_id, token.token) for token in tokens]
        with _failing_closed():
            pieces = self.unmasker.unmask_records(fields, viewer=_reader(viewer, purpose), tenant_id=viewer.tenant_id)
        return {token.token: piece.text for token, piece in zip(tokens, pieces, strict=True)}


@contextmanager
def _failing_closed() -> Iterator[None]:
    try:
        yield
    except (InvalidInput, Unavailable):
        raise
    except (TellergateError, psycopg.Error) as error:
        # The text itself stays out of the log: it was not masked.
        _LOG.error("masking_failed", error=type(error).__name__, code=getattr(error, "code", ""))
        raise MaskingFailed("the text could not be masked or shown: nothing was stored or sent; try again") from error


def _scope(place: Place) -> MaskScope:
    return MaskScope(place.tenant_id, place.conversation_id, place.customer_id)


def _reader(viewer: Viewer, purpose: Purpose) -> Reader:
    return Reader(viewer.operator_id, viewer.roles, RevealPurpose(purpose))
