"""The way back: tokens to values, for those entitled, each on the record. Importable by `serving` only.

A value is opened after the transaction that holds its audit row has committed. There is no other way to open one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import Connection

from domain.errors import Forbidden, InvalidInput
from masking.classes import PiiClass
from masking.data_keys import list_erased
from masking.entitlements import (
    DEFAULT_ENTITLEMENTS,
    ERASED_CHIP,
    TOOL_ENTITLEMENTS,
    Entitlements,
    Purpose,
    View,
    Viewer,
    chip_for,
    render_value,
    view_for,
)
from masking.keys import KeyProvider
from masking.restoring import StreamRestorer
from masking.text import MaskedText
from masking.tokens import UNKNOWN_REFERENCE, TokenMatch, class_of_token, find_tokens
from masking.vault import QUERIES, SealedRow, Transact, keys_for, open_value


class ToolNotEntitled(Forbidden):
    """Say that a tool asked for a class of values that it may not resolve."""

    code = "tool_not_entitled"


class UnknownReference(InvalidInput):
    """Say that a token does not exist, does not resolve in this conversation, or was erased."""

    code = "unknown_reference"


@dataclass(frozen=True, slots=True)
class RevealScope:
    """Hold where tokens may resolve: one conversation; `subject_id` (its customer) whose spelling is preferred."""

    tenant_id: str
    conversation_id: str
    subject_id: str


@dataclass(frozen=True, slots=True)
class Segment:
    """Hold a piece of a restored text. A `chip` stands for what may not be seen or does not exist."""

    kind: Literal["text", "value", "chip"]
    text: str
    pii_class: PiiClass | None = None


@dataclass(frozen=True, slots=True)
class RecordField:
    """Hold a token of a record's column and the customer whose record it is."""

    subject_id: str
    token: str


@dataclass(frozen=True, slots=True)
class _Revealed:
    """What one look-up gave: a piece for each token, and for each place whose written form was kept."""

    by_token: Mapping[str, Segment]
    by_place: Mapping[tuple[int, str], Segment]

    def piece(self, ordinal: int, match: TokenMatch) -> Segment:
        token = match.token
        if token is None:
            return Segment("chip", UNKNOWN_REFERENCE)
        return self.by_place.get((ordinal, token)) or self.by_token.get(token) or Segment("chip", UNKNOWN_REFERENCE)


class Unmasker:
    """Restore texts and record fields."""

    def __init__(self, *, keys: KeyProvider, transact: Transact, entitlements: Entitlements = DEFAULT_ENTITLEMENTS) -> None:
        self._keys = keys
        self._transact = transact
        self._entitlements = entitlements

    def unmask_text(self, text: MaskedText | str, *, viewer: Viewer, scope: RevealScope, message_id: str | None = None) -> str:
        """Return the text with what the viewer may see. With `message_id` as it was written, byte for byte.

        Raises: SealBroken, TenantKeyMissing, psycopg.Error; then nothing is shown.
        """
        return "".join(piece.text for piece in self.unmask_segments(text, viewer=viewer, scope=scope, message_id=message_id))

    def unmask_segments(
        self, text: MaskedText | str, *, viewer: Viewer, scope: RevealScope, message_id: str | None = None
    ) -> tuple[Segment, ...]:
        """Return the pieces of the text, for a page that marks values and chips. Raises: as `unmask_text`."""
        plain = text.text if isinstance(text, MaskedText) else text
        matches = list(find_tokens(plain))
        tokens = [match.token for match in matches if match.token is not None]
        revealed = self._reveal(tokens, viewer=viewer, scope=scope, message_id=message_id)
        pieces: list[Segment] = []
        end = 0
        for ordinal, match in enumerate(matches):
            if match.start > end:
                pieces.append(Segment("text", plain[end : match.start]))
            pieces.append(revealed.piece(ordinal, match))
            end = match.end
        if end < len(plain):
            pieces.append(Segment("text", plain[end:]))
        return tuple(pieces)

    def unmask_records(self, fields: Sequence[RecordField], *, viewer: Viewer, tenant_id: str) -> tuple[Segment, ...]:
        """Return one piece for each field of records, in their order; one look-up for all. Raises: as `unmask_text`."""
        views = [view_for(self._entitlements, viewer, class_of_token(field.token)) for field in fields]
        asked = [(field, view) for field, view in zip(fields, views, strict=True) if view is not View.HIDDEN]
        rows: list[SealedRow] = []
        erased: frozenset[str] = frozenset()
        if asked:
            columns = {
                "subjects": [field.subject_id for field, _ in asked],
                "tokens": [field.token for field, _ in asked],
                "views": [view.value for _, view in asked],
            }
            with self._transact(tenant_id) as conn:
                rows = conn.execute(QUERIES["reveal_of_records"], _who(viewer) | columns).fetchall()
                missing = {field.subject_id for field, _ in asked} - {row[3] for row in rows}
                if missing:
                    erased = list_erased(conn, sorted(missing), tenant_id=tenant_id)
        keys = keys_for(self._keys, tenant_id, rows)
        opened = {(row[3], row[0]): open_value(keys, row) for row in rows}
        pieces = []
        for field, view in zip(fields, views, strict=True):
            pii_class = class_of_token(field.token)
            value = opened.get((field.subject_id, field.token))
            if view is View.HIDDEN:
                pieces.append(Segment("chip", chip_for(pii_class), pii_class))
            elif value is None and field.subject_id in erased:
                pieces.append(Segment("chip", ERASED_CHIP, pii_class))
            elif value is None:
                pieces.append(Segment("chip", UNKNOWN_REFERENCE))
            else:
                pieces.append(_piece(pii_class, value, view))
        return tuple(pieces)

    def resolve_for_tool(self, tool: str, tokens: Sequence[str], *, scope: RevealScope, actor: str) -> Mapping[str, str]:
        """Return the values that a program needs to act, by their tokens: all of them, or none and no audit row.

        Raises: ToolNotEntitled, UnknownReference, SealBroken, TenantKeyMissing, psycopg.Error.
        """
        allowed = TOOL_ENTITLEMENTS.get(tool, frozenset())
        for token in tokens:
            match = next(find_tokens(token), None)
            if match is None or match.token != token:
                raise UnknownReference("a token is damaged or invented: nothing was resolved")
            if class_of_token(token) not in allowed:
                raise ToolNotEntitled(f"tool {tool} may not resolve {class_of_token(token).value}: nothing was resolved")
        if not tokens:
            return {}
        asked = sorted(set(tokens))
        who = {"actor": actor, "roles": f"tool:{tool}", "purpose": Purpose.TOOL.value}
        with self._transact(scope.tenant_id) as conn:
            rows = _ask(conn, who, dict.fromkeys(asked, View.PLAIN), scope, message_id=None)
            if len({row[0] for row in rows}) < len(asked):
                # Rolls the audit rows back: nobody was given anything.
                raise UnknownReference("a token does not resolve in this conversation: nothing was resolved")
        keys = keys_for(self._keys, scope.tenant_id, rows)
        return {row[0]: open_value(keys, row) for row in rows}

    def start_stream(self, *, viewer: Viewer, scope: RevealScope) -> StreamRestorer:
        """Return a restorer for text that comes in chunks. Each token is looked up once."""

        def resolve(tokens: Sequence[str]) -> Mapping[str, str]:
            revealed = self._reveal(tokens, viewer=viewer, scope=scope, message_id=None)
            return {token: piece.text for token, piece in revealed.by_token.items()}

        return StreamRestorer(resolve)

    def _reveal(self, tokens: Sequence[str], *, viewer: Viewer, scope: RevealScope, message_id: str | None) -> _Revealed:
        views = {token: view_for(self._entitlements, viewer, class_of_token(token)) for token in tokens}
        by_token = {
            token: Segment("chip", chip_for(class_of_token(token)), class_of_token(token))
            for token, view in views.items()
            if view is View.HIDDEN
        }
        asked = {token: view for token, view in views.items() if view is not View.HIDDEN}
        by_place: dict[tuple[int, str], Segment] = {}
        opened, erased = self._open(asked, viewer=viewer, scope=scope, message_id=message_id)
        by_token |= {token: Segment("chip", ERASED_CHIP, class_of_token(token)) for token in erased}
        for row, value in opened:
            token, ordinal = row[0], row[2]
            piece = _piece(PiiClass(row[1]), value, asked[token])
            if ordinal is None:
                by_token[token] = piece
            else:
                by_place[ordinal, token] = piece
        return _Revealed(by_token, by_place)

    def _open(
        self, asked: Mapping[str, View], *, viewer: Viewer, scope: RevealScope, message_id: str | None
    ) -> tuple[list[tuple[SealedRow, str]], frozenset[str]]:
        """Return what the vault gave, opened, and which of the rest were erased."""
        if not asked:
            return [], frozenset()
        erased: frozenset[str] = frozenset()
        with self._transact(scope.tenant_id) as conn:
            rows = _ask(conn, _who(viewer), asked, scope, message_id=message_id)
            missing = sorted(asked.keys() - {row[0] for row in rows})
            if missing:
                erased = _list_erased(conn, missing, scope)
        # Only now is the audit row certain, so only now is anything opened.
        keys = keys_for(self._keys, scope.tenant_id, rows)
        return [(row, open_value(keys, row, message_id=message_id)) for row in rows], erased


def _ask(
    conn: Connection[Any], who: Mapping[str, object], asked: Mapping[str, View], scope: RevealScope, *, message_id: str | None
) -> list[SealedRow]:
    question = {
        **who,
        "conversation_id": scope.conversation_id,
        "subject_id": scope.subject_id,
        "message_id": message_id,
        "tokens": list(asked),
        "views": [view.value for view in asked.values()],
    }
    return conn.execute(QUERIES["reveal_in_conversation"], question).fetchall()


def _list_erased(conn: Connection[Any], tokens: Sequence[str], scope: RevealScope) -> frozenset[str]:
    question = {
        "tenant_id": scope.tenant_id,
        "conversation_id": scope.conversation_id,
        "subject_id": scope.subject_id,
        "tokens": list(tokens),
    }
    return frozenset(row[0] for row in conn.execute(QUERIES["list_erased_grants"], question))


def _who(viewer: Viewer) -> dict[str, object]:
    return {"actor": viewer.actor, "roles": ",".join(sorted(viewer.roles)), "purpose": viewer.purpose.value}


def _piece(pii_class: PiiClass, value: str, view: View) -> Segment:
    return Segment("value", render_value(pii_class, value, view), pii_class)
