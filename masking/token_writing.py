"""Found values become tokens: they go to the vault, the conversation may resolve them, and the text is written without them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from domain.errors import BrokenInvariant, InvalidInput
from domain.origin import Origin
from masking.classes import PiiClass
from masking.masked_message import FoundValues, MaskedMessage, TextToMask, place_spans
from masking.text import _seal_masked
from masking.vault import PiiItem, Source, Vault
from masking.writing import Writer

_MAX_MASKED_BYTES = 131_072


class MaskedTextTooLong(InvalidInput):
    """Say that a text holds so many values that it does not fit once masked."""

    code = "masked_text_too_long"


class MaskingIncomplete(BrokenInvariant):
    """Say that the written text does not hold exactly the tokens that were put in."""

    code = "masking_incomplete"


class TokenWriter:
    """Write masked texts over a vault."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._writer = Writer()

    def write(self, conn: Connection[Any], texts: Sequence[FoundValues], *, source: Source) -> list[MaskedMessage]:
        """Write texts of one tenant in the caller's transaction: values, grants, then the masked texts, in their order.

        Raises: MaskedTextTooLong, WritingFailed, MaskingIncomplete, SubjectErased.
        """
        if not texts:
            return []
        tenant_id = texts[0].scope.tenant_id
        surfaces = dict.fromkeys(
            (found.scope.subject_id, one.pii_class, found.surface(one))
            for found in texts
            for one in found.detections
            if one.token is None
        )
        items = [PiiItem(pii_class, surface, subject_id) for subject_id, pii_class, surface in surfaces]
        minted = dict(zip(surfaces, self._vault.tokenize_many(conn, items, tenant_id=tenant_id, source=source), strict=True))
        messages, grants = [], defaultdict[tuple[str, Origin], list[str]](list)
        for found in texts:
            token_of = {
                (one.pii_class, found.surface(one)): one.token
                or minted[found.scope.subject_id, one.pii_class, found.surface(one)]
                for one in found.detections
            }
            used = [token_of[one.pii_class, found.surface(one)] for one in found.detections]
            messages.append(self._seal(found, token_of, used))
            if found.scope.conversation_id is not None:
                for one, origin, token in zip(found.detections, found.origins, used, strict=True):
                    grants[found.scope.conversation_id, Origin.LEDGER if one.token is not None else origin].append(token)
        for (conversation_id, origin), tokens in sorted(grants.items()):
            self._vault.grant_tokens(conn, tokens, tenant_id=tenant_id, conversation_id=conversation_id, origin=origin)
        return messages

    def _seal(self, found: FoundValues, token_of: dict[tuple[PiiClass, str], str], used: Sequence[str]) -> MaskedMessage:
        written = self._writer.write(found.text, found.detections, token_of)
        if len(written.encode()) > _MAX_MASKED_BYTES:
            raise MaskedTextTooLong(f"masked, the text has more than {_MAX_MASKED_BYTES} bytes: send it in parts")
        masked = _seal_masked(written)
        if sorted(masked.tokens) != sorted([*used, *found.kept]):
            count = len(used) + len(found.kept)
            raise MaskingIncomplete(f"{len(masked.tokens)} tokens stand in the masked text, {count} were put in")
        spans = place_spans(found, used)
        if any(written[span.masked_start : span.masked_end] != span.token for span in spans):
            raise MaskingIncomplete("a token does not stand where its value stood")
        return MaskedMessage(masked, spans)

    def store_surfaces(self, conn: Connection[Any], item: TextToMask, message: MaskedMessage) -> None:
        """Keep how each value of a message was written."""
        surfaces = [(ordinal, span.token, item.text[span.start : span.end]) for ordinal, span in enumerate(message.spans)]
        if surfaces and item.message_id is not None:
            self._vault.store_surfaces(
                conn,
                surfaces,
                tenant_id=item.scope.tenant_id,
                message_id=item.message_id,
                subject_id=item.scope.subject_id,
            )
