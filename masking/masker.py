"""The way in: a message becomes MaskedText, its values go to the vault, and the conversation may resolve them."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from threading import Lock

from domain.errors import BrokenInvariant, InvalidInput
from masking.classes import PiiClass
from masking.detection import POLICY_VERSION, Detection, DetectionSource, Detector
from masking.input_text import require_text
from masking.keys import KeyProvider
from masking.text import MaskedText, _seal_masked
from masking.tokens import UNKNOWN_REFERENCE, find_tokens
from masking.vault import KnownValues, PiiItem, Transact, Vault
from masking.writing import TokenOf, Writer

_MAX_MASKED_BYTES = 131_072
_CACHE_SIZE = 2_048


class MaskedTextTooLong(InvalidInput):
    """Say that a text holds so many values that it does not fit once masked."""

    code = "masked_text_too_long"


class MaskingIncomplete(BrokenInvariant):
    """Say that the written text does not hold exactly the tokens that were put in."""

    code = "masking_incomplete"


@dataclass(frozen=True, slots=True)
class MaskScope:
    """Hold where a text stands: the conversation that may resolve its tokens, and whose values they are (the customer)."""

    tenant_id: str
    conversation_id: str
    subject_id: str


@dataclass(frozen=True, slots=True)
class MaskedSpan:
    """Hold one value's place in the original text and what stands for it."""

    start: int
    end: int
    pii_class: PiiClass
    source: DetectionSource
    token: str


@dataclass(frozen=True, slots=True)
class MaskedMessage:
    """Hold a masked text and where its values stood. No value is in here."""

    masked: MaskedText
    spans: tuple[MaskedSpan, ...]


class Masker:
    """Mask texts of one process. Owns the vault's transactions: tokens are committed before a masked text exists."""

    def __init__(self, *, detector: Detector, vault: Vault, keys: KeyProvider, transact: Transact) -> None:
        self._detector = detector
        self._vault = vault
        self._keys = keys
        self._transact = transact
        self._writer = Writer()
        self._cache: OrderedDict[bytes, MaskedMessage] = OrderedDict()
        self._lock = Lock()

    def open_conversation(self, scope: MaskScope, *, actor: str) -> KnownValues:
        """Return what the record knows of the conversation's customer, and let the conversation resolve it. Idempotent.

        One audit row. Raises: TenantKeyMissing, SealBroken.
        """
        known = self._vault.known_values(self._transact, tenant_id=scope.tenant_id, subject_id=scope.subject_id, actor=actor)
        with self._transact(scope.tenant_id) as conn:
            tokens = [value.token for value in known.values]
            self._vault.grant_tokens(conn, tokens, tenant_id=scope.tenant_id, conversation_id=scope.conversation_id)
        return known

    def mask_message(
        self,
        text: str,
        *,
        scope: MaskScope,
        known_values: KnownValues | None = None,
        merchants: Collection[str] = (),
        message_id: str | None = None,
    ) -> MaskedMessage:
        """Mask what a person wrote. Text in the shape of a token is escaped: it stands for itself and resolves nothing.

        With `message_id` the written forms are kept, so that the message comes back byte for byte. Idempotent.
        Raises: NotText, TextTooLong, MaskedTextTooLong, TenantKeyMissing, WritingFailed, MaskingIncomplete.
        """
        require_text(text)
        key = self._cache_key("message", text, scope, known_values, merchants)
        held = self._held(key)
        if held is None:
            detections = self._detector.detect(text, known_values=known_values, merchants=merchants)
            held = self._write(text, detections, scope=scope, kept=())
            self._hold(key, held)
        if message_id is not None:
            self._store_surfaces(text, held, scope=scope, message_id=message_id)
        return held

    def mask_output(
        self, text: str, *, scope: MaskScope, known_values: KnownValues | None = None, merchants: Collection[str] = ()
    ) -> MaskedMessage:
        """Mask what a model or a template wrote, before it is stored: tokens of this conversation stay, all others go.

        Raises: as `mask_message`.
        """
        require_text(text)
        with self._transact(scope.tenant_id) as conn:
            granted = self._vault.list_granted(conn, tenant_id=scope.tenant_id, conversation_id=scope.conversation_id)
        cleaned, kept = _keep_tokens(text, granted)
        places = [(match.start, match.end) for match in find_tokens(cleaned)]
        detections = self._detector.detect(cleaned, known_values=known_values, merchants=merchants, keep=places)
        return self._write(cleaned, detections, scope=scope, kept=kept)

    def _write(self, text: str, detections: Sequence[Detection], *, scope: MaskScope, kept: tuple[str, ...]) -> MaskedMessage:
        surfaces = list(dict.fromkeys((one.pii_class, text[one.start : one.end]) for one in detections if one.token is None))
        items = [PiiItem(pii_class, surface, scope.subject_id) for pii_class, surface in surfaces]
        token_of: dict[tuple[PiiClass, str], str] = {}
        with self._transact(scope.tenant_id) as conn:
            minted = self._vault.tokenize_many(conn, items, tenant_id=scope.tenant_id, source="message")
            token_of |= zip(surfaces, minted, strict=True)
            known = {(one.pii_class, text[one.start : one.end]): one.token for one in detections if one.token is not None}
            token_of |= known
            used = [token_of[one.pii_class, text[one.start : one.end]] for one in detections]
            self._vault.grant_tokens(conn, used, tenant_id=scope.tenant_id, conversation_id=scope.conversation_id)
        masked = self._seal(text, detections, token_of, used=used, kept=kept)
        spans = (
            MaskedSpan(one.start, one.end, one.pii_class, one.source, token) for one, token in zip(detections, used, strict=True)
        )
        return MaskedMessage(masked, tuple(spans))

    def _seal(
        self, text: str, detections: Sequence[Detection], token_of: TokenOf, *, used: Sequence[str], kept: tuple[str, ...]
    ) -> MaskedText:
        written = self._writer.write(text, detections, token_of)
        if len(written.encode()) > _MAX_MASKED_BYTES:
            raise MaskedTextTooLong(f"masked, the text has more than {_MAX_MASKED_BYTES} bytes: send it in parts")
        masked = _seal_masked(written)
        if sorted(masked.tokens) != sorted([*used, *kept]):
            raise MaskingIncomplete(f"{len(masked.tokens)} tokens stand in the masked text, {len(used) + len(kept)} were put in")
        return masked

    def _store_surfaces(self, text: str, message: MaskedMessage, *, scope: MaskScope, message_id: str) -> None:
        surfaces = [(ordinal, span.token, text[span.start : span.end]) for ordinal, span in enumerate(message.spans)]
        if not surfaces:
            return
        with self._transact(scope.tenant_id) as conn:
            self._vault.store_surfaces(
                conn, surfaces, tenant_id=scope.tenant_id, message_id=message_id, subject_id=scope.subject_id
            )

    def _cache_key(
        self, kind: str, text: str, scope: MaskScope, known_values: KnownValues | None, merchants: Collection[str]
    ) -> bytes:
        record = known_values.version if known_values else ""
        names = "\x1f".join(sorted(merchants))
        context = (kind, POLICY_VERSION, scope.tenant_id, scope.conversation_id, scope.subject_id, record, names, text)
        key = self._keys.tenant_keys(scope.tenant_id).cache
        return hmac.digest(key, "\x1e".join(context).encode(), hashlib.sha256)

    def _held(self, key: bytes) -> MaskedMessage | None:
        with self._lock:
            held = self._cache.get(key)
            if held is not None:
                self._cache.move_to_end(key)
            return held

    def _hold(self, key: bytes, message: MaskedMessage) -> None:
        with self._lock:
            self._cache[key] = message
            if len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)


def _keep_tokens(text: str, granted: frozenset[str]) -> tuple[str, tuple[str, ...]]:
    """Write granted tokens in their exact form and everything else of that shape as unknown."""
    parts: list[str] = []
    kept: list[str] = []
    end = 0
    for match in find_tokens(text):
        parts.append(text[end : match.start])
        if match.token is not None and match.token in granted:
            parts.append(match.token)
            kept.append(match.token)
        else:
            parts.append(UNKNOWN_REFERENCE)
        end = match.end
    return "".join([*parts, text[end:]]), tuple(kept)
