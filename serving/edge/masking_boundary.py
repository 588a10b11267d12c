"""The boundary over the masker and the unmasker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import structlog

from domain.errors import InvalidInput, TellergateError, Unavailable
from domain.origin import Origin
from masking.entitlements import Purpose as RevealPurpose
from masking.entitlements import Viewer as Reader
from masking.guard import LeakBlocked
from masking.masker import Masker, MaskScope
from masking.restoring import StreamRestorer
from masking.unmask import RecordField, RevealScope, Unmasker
from serving.edge.boundary import AnswerBlocked, MaskedInput, MaskingFailed, Place, Purpose, RecordToken, TextStream, Viewer

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
        shown = self.reveal_each(tokens, viewer=viewer, purpose=purpose)
        return {token.token: text for token, text in zip(tokens, shown, strict=True)}

    def reveal_each(self, tokens: Sequence[RecordToken], *, viewer: Viewer, purpose: Purpose) -> Sequence[str]:
        """Return a value or a chip for each place, in order."""
        fields = [RecordField(token.subject_id, token.token) for token in tokens]
        with _failing_closed():
            pieces = self.unmasker.unmask_records(fields, viewer=_reader(viewer, purpose), tenant_id=viewer.tenant_id)
        return [piece.text for piece in pieces]

    def allow_tokens(self, tokens: Sequence[str], *, place: Place) -> None:
        """Let the conversation resolve tokens of texts in its records."""
        with _failing_closed():
            self.masker.allow_tokens(tokens, scope=_scope(place), origin=Origin.CUSTOMER_TEXT)

    def start_stream(self, *, viewer: Viewer, place: Place) -> TextStream:
        """Return what restores the answer of one turn while it is written."""
        scope = RevealScope(place.tenant_id, place.conversation_id, place.customer_id)
        return _GuardedStream(self.unmasker.start_stream(viewer=_reader(viewer, "conversation"), scope=scope))


@dataclass(frozen=True, slots=True)
class _GuardedStream:
    """A stream whose failures are the boundary's."""

    restorer: StreamRestorer

    def feed(self, chunk: str) -> str:
        with _failing_closed():
            return self.restorer.feed(chunk)

    def finish(self) -> str:
        with _failing_closed():
            return self.restorer.finish()


@contextmanager
def _failing_closed() -> Iterator[None]:
    try:
        yield
    except (InvalidInput, Unavailable):
        raise
    except LeakBlocked as error:
        classes = tuple(pii_class.value for pii_class in error.classes)
        raise AnswerBlocked(error.message, classes=classes, place=error.place) from error
    except (TellergateError, psycopg.Error) as error:
        # The text itself stays out of the log: it was not masked.
        _LOG.error("masking_failed", error=type(error).__name__, code=getattr(error, "code", ""))
        raise MaskingFailed("the text could not be masked or shown: nothing was stored or sent; try again") from error


def _scope(place: Place) -> MaskScope:
    return MaskScope(place.tenant_id, place.conversation_id, place.customer_id)


def _reader(viewer: Viewer, purpose: Purpose) -> Reader:
    return Reader(viewer.operator_id, viewer.roles, RevealPurpose(purpose), viewer.meets)
