"""The way in: a text becomes MaskedText, its values go to the vault, and the conversation may resolve them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection, Sequence
from typing import Any

from domain.errors import BrokenInvariant
from domain.origin import Origin
from masking import detection, guard, phones
from masking.detection import POLICY_VERSION, Detection, Detects
from masking.guard import Surface, check_outgoing
from masking.input_text import require_text
from masking.keys import KeyProvider
from masking.masked_message import (
    FoundValues,
    MaskedMessage,
    MaskedSpan,
    MaskScope,
    TextToMask,
    keep_tokens,
    origins_of,
    whole_value,
)
from masking.masking_cache import MaskingCache
from masking.meter import MaskMeter
from masking.number_index import NumberIndex, NumberIndexes
from masking.token_writing import MaskedTextTooLong, MaskingIncomplete, TokenWriter
from masking.tokens import find_tokens
from masking.vault import KnownValues, Source, Transact, Vault

__all__ = ["MaskScope", "MaskedMessage", "MaskedSpan", "MaskedTextTooLong", "Masker", "MaskingIncomplete", "TextToMask"]


class Masker:
    """Mask texts of one process. Owns the vault's transactions: tokens are committed before a masked text is handed out.

    `monotonic` counts seconds: with it, known values are kept for a minute, so that a conversation reads them once.
    """

    def __init__(
        self,
        *,
        detector: Detects,
        vault: Vault,
        keys: KeyProvider,
        transact: Transact,
        indexes: NumberIndexes | None = None,
        meter: MaskMeter | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._detector = detector
        self._vault = vault
        self._keys = keys
        self._transact = transact
        self._indexes = indexes
        self._meter = meter
        self._tokens = TokenWriter(vault)
        self._cache = MaskingCache(monotonic)
        self._stopwatch = monotonic or _stand_still

    def open_conversation(self, scope: MaskScope, *, actor: str) -> KnownValues:
        """Return what the record knows of the conversation's customer, and let the conversation resolve it. Idempotent.

        One audit row for each load. Raises: TenantKeyMissing, SealBroken.
        """
        tenant_id, epoch = scope.tenant_id, self._cache.epoch
        known = self._cache.find_known_values(tenant_id, scope.subject_id, actor)
        if known is None:
            known = self._vault.known_values(self._transact, tenant_id=tenant_id, subject_id=scope.subject_id, actor=actor)
            self._cache.keep_known_values(known, tenant_id=tenant_id, actor=actor, epoch=epoch)
        if scope.conversation_id is not None and not self._cache.is_granted(tenant_id, scope.conversation_id, known.version):
            with self._transact(tenant_id) as conn:
                tokens = [value.token for value in known.values]
                self._vault.grant_tokens(
                    conn, tokens, tenant_id=tenant_id, conversation_id=scope.conversation_id, origin=Origin.LEDGER
                )
            self._cache.note_granted(tenant_id, scope.conversation_id, known.version, epoch=epoch)
        return known

    def mask_message(
        self,
        text: str,
        *,
        scope: MaskScope,
        known_values: KnownValues | None = None,
        merchants: Collection[str] = (),
        message_id: str | None = None,
        origin: Origin = Origin.STAFF,
    ) -> MaskedMessage:
        """Mask what a person wrote. Text in the shape of a token is escaped: it stands for itself and resolves nothing.

        With `message_id` the written forms are kept, so that the message comes back byte for byte. Idempotent.
        Raises: NotText, TextTooLong, MaskedTextTooLong, TenantKeyMissing, WritingFailed, MaskingIncomplete.
        """
        item = TextToMask(text, scope, known_values, message_id)
        return self.mask_many([item], tenant_id=scope.tenant_id, merchants=merchants, origin=origin)[0]

    def mask_many(
        self,
        items: Sequence[TextToMask],
        *,
        tenant_id: str,
        merchants: Collection[str] = (),
        origin: Origin,
        source: Source = "message",
    ) -> tuple[MaskedMessage, ...]:
        """Mask several texts in one transaction of the vault: all of them, or none. Returns them in their order.

        Idempotent. Raises: as `mask_message`.
        """
        for item in items:
            require_text(item.text)
            if item.scope.tenant_id != tenant_id:
                raise BrokenInvariant("a text of another tenant among those to be masked", code="other_tenants_text")
        epoch, index = self._cache.epoch, self._index_of(tenant_id)
        keys = [self._cache_key(item, merchants, origin, source, index) for item in items]
        results = [self._cache.find_text(key) for key in keys]
        started_s = self._stopwatch()
        found = {place: self._find(item, merchants, origin, index) for place, item in enumerate(items) if results[place] is None}
        unstored = [
            place
            for place, item in enumerate(items)
            if item.message_id is not None and not self._cache.is_stored(keys[place], item.message_id)
        ]
        if found or unstored:
            with self._transact(tenant_id) as conn:
                for place, message in zip(found, self._tokens.write(conn, list(found.values()), source=source), strict=True):
                    results[place] = message
                masked = [message for message in results if message is not None]
                for place in unstored:
                    self._tokens.store_surfaces(conn, items[place], masked[place])
        masked = [message for message in results if message is not None]
        for place in found:
            self._cache.keep_text(keys[place], masked[place], tenant_id=tenant_id, epoch=epoch)
        for place in unstored:
            self._cache.note_stored(keys[place], items[place].message_id or "", tenant_id=tenant_id, epoch=epoch)
        self._count([masked[place] for place in found], hits=len(items) - len(found), started_s=started_s)
        return tuple(masked)

    def mask_output(
        self,
        text: str,
        *,
        scope: MaskScope,
        known_values: KnownValues | None = None,
        merchants: Collection[str] = (),
        origin: Origin = Origin.MODEL,
    ) -> MaskedMessage:
        """Mask what a model or a template wrote, before it is stored: tokens of this conversation stay, all others go.

        Raises: as `mask_message`, and LeakBlocked where a value is left.
        """
        require_text(text)
        started_s = self._stopwatch()
        granted: frozenset[str] = frozenset()
        if scope.conversation_id is not None:
            with self._transact(scope.tenant_id) as conn:
                granted = self._vault.list_granted(conn, tenant_id=scope.tenant_id, conversation_id=scope.conversation_id)
        cleaned, kept = keep_tokens(text, granted)
        places = [(match.start, match.end) for match in find_tokens(cleaned)]
        index = self._index_of(scope.tenant_id)
        detections = self._detect(cleaned, known_values, merchants, index, keep=places)
        found = FoundValues(cleaned, scope, detections, tuple(origin for _ in detections), kept)
        with self._transact(scope.tenant_id) as conn:
            (message,) = self._tokens.write(conn, [found], source="message")
            check_outgoing(message.masked.text, index=index, known_values=known_values, surface=Surface.STORED)
        self._count([message], hits=0, started_s=started_s)
        return message

    def holds_values(
        self, text: str, *, tenant_id: str, known_values: KnownValues | None = None, merchants: Collection[str] = ()
    ) -> bool:
        """Say whether anything in a text would be masked. Writes nothing. Raises: NotText, TextTooLong."""
        return bool(self._detect(require_text(text), known_values, merchants, self._index_of(tenant_id)))

    def allow_tokens(self, tokens: Sequence[str], *, scope: MaskScope, origin: Origin) -> None:
        """Let a conversation resolve tokens that stand in records which it may name. Idempotent."""
        if tokens and scope.conversation_id is not None:
            with self._transact(scope.tenant_id) as conn:
                self._vault.grant_tokens(
                    conn, tokens, tenant_id=scope.tenant_id, conversation_id=scope.conversation_id, origin=origin
                )

    def close(self) -> None:
        """End the processes that detect, where there are any."""
        close = getattr(self._detector, "close", None)
        if close is not None:
            close()

    def forget_subject(self, tenant_id: str, subject_id: str) -> None:  # noqa: ARG002
        """Drop what is kept of a subject, because it was erased: his values may stand in a text about anyone."""
        if self._indexes is not None:
            self._indexes.forget(tenant_id)
        self.forget_tenant(tenant_id)

    def forget_tenant(self, tenant_id: str) -> None:
        """Drop what is kept of a tenant, because its records changed, and every value that finders keep."""
        self._cache.forget_tenant(tenant_id)
        guard.forget_known_values()
        detection.forget_known_values()
        phones.forget_numbers()
        forget = getattr(self._detector, "forget_known_values", None)
        if forget is not None:
            forget()

    def _index_of(self, tenant_id: str) -> NumberIndex | None:
        return None if self._indexes is None else self._indexes.of(tenant_id)

    def _find(self, item: TextToMask, merchants: Collection[str], origin: Origin, index: NumberIndex | None) -> FoundValues:
        if item.whole is not None:
            detections = whole_value(item.text, item.whole)
        else:
            detections = self._detect(item.text, item.known_values, merchants, index)
        if item.is_merchants:
            detections = tuple(one for one in detections if one.source != "model")
        return FoundValues(item.text, item.scope, detections, origins_of(item.text, detections, origin))

    def _detect(
        self,
        text: str,
        known_values: KnownValues | None,
        merchants: Collection[str],
        index: NumberIndex | None,
        keep: Collection[tuple[int, int]] = (),
    ) -> tuple[Detection, ...]:
        numbers: dict[str, Any] = {} if index is None else {"known_numbers": index}
        return self._detector.detect(text, known_values=known_values, merchants=merchants, keep=keep, **numbers)

    def _cache_key(
        self, item: TextToMask, merchants: Collection[str], origin: Origin, source: Source, index: NumberIndex | None
    ) -> bytes:
        scope = item.scope
        context = (
            POLICY_VERSION,
            origin.value,
            source,
            scope.tenant_id,
            scope.conversation_id or "",
            scope.subject_id,
            item.known_values.version if item.known_values else "",
            index.version if index else "",
            item.whole.value if item.whole else "",
            "merchant" if item.is_merchants else "",
            "\x1f".join(sorted(merchants)),
            item.text,
        )
        key = self._keys.tenant_keys(scope.tenant_id).cache
        return hmac.digest(key, "\x1e".join(context).encode(), hashlib.sha256)

    def _count(self, messages: Sequence[MaskedMessage], *, hits: int, started_s: float) -> None:
        if self._meter is None:
            return
        for _ in range(hits):
            self._meter.count_cache_hit()
        share_s = (self._stopwatch() - started_s) / max(1, len(messages))
        for message in messages:
            self._meter.count_text([(span.pii_class, span.source) for span in message.spans], duration_s=share_s)


def _stand_still() -> float:
    return 0.0
