"""What the masker keeps between texts: masked texts, known values for a minute, and which messages are stored already."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from masking.masker import MaskedMessage
    from masking.vault import KnownValues

_MAX_TEXTS = 2_048
_MAX_RECORDS = 256
_KNOWN_VALUES_S = 60.0
_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True)
class _Held(Generic[_Entry]):
    tenant_id: str
    entry: _Entry


class _Shelf(Generic[_Entry]):
    """Keep the entries that were used last. Not safe in threads: its owner locks."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[Hashable, _Held[_Entry]] = OrderedDict()

    def find(self, key: Hashable) -> _Entry | None:
        held = self._entries.get(key)
        if held is None:
            return None
        self._entries.move_to_end(key)
        return held.entry

    def keep(self, key: Hashable, tenant_id: str, entry: _Entry) -> None:
        self._entries[key] = _Held(tenant_id, entry)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def forget(self, tenant_id: str) -> None:
        for key in [key for key, held in self._entries.items() if held.tenant_id == tenant_id]:
            del self._entries[key]


@dataclass(frozen=True, slots=True)
class _KnownSince:
    known_values: KnownValues
    loaded_s: float = field(compare=False)


class MaskingCache:
    """Hold what was done, safe in threads. Whatever was begun before a `forget` is not kept after it.

    `monotonic` counts seconds; without it known values are not kept.
    """

    def __init__(self, monotonic: Callable[[], float] | None) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._epoch = 0
        self._texts: _Shelf[MaskedMessage] = _Shelf(_MAX_TEXTS)
        self._stored: _Shelf[bool] = _Shelf(_MAX_TEXTS)
        self._known: _Shelf[_KnownSince] = _Shelf(_MAX_RECORDS)
        self._granted: _Shelf[str] = _Shelf(_MAX_RECORDS)

    @property
    def epoch(self) -> int:
        """Return a number that grows with each `forget`: read it before the work whose result is kept."""
        return self._epoch

    def find_text(self, key: bytes) -> MaskedMessage | None:
        """Return a text that was masked before."""
        with self._lock:
            return self._texts.find(key)

    def keep_text(self, key: bytes, message: MaskedMessage, *, tenant_id: str, epoch: int) -> None:
        """Keep a masked text."""
        with self._lock:
            if epoch == self._epoch:
                self._texts.keep(key, tenant_id, message)

    def is_stored(self, key: bytes, message_id: str) -> bool:
        """Say whether the written forms of this message are in the vault."""
        with self._lock:
            return self._stored.find((key, message_id)) is not None

    def note_stored(self, key: bytes, message_id: str, *, tenant_id: str, epoch: int) -> None:
        """Note that they are."""
        with self._lock:
            if epoch == self._epoch:
                self._stored.keep((key, message_id), tenant_id, entry=True)

    def find_known_values(self, tenant_id: str, subject_id: str, actor: str) -> KnownValues | None:
        """Return what this actor loaded within the last minute."""
        if self._monotonic is None:
            return None
        with self._lock:
            held = self._known.find((tenant_id, subject_id, actor))
        if held is None or self._monotonic() - held.loaded_s > _KNOWN_VALUES_S:
            return None
        return held.known_values

    def keep_known_values(self, known_values: KnownValues, *, tenant_id: str, actor: str, epoch: int) -> None:
        """Keep what was loaded."""
        if self._monotonic is None:
            return
        with self._lock:
            if epoch == self._epoch:
                held = _KnownSince(known_values, self._monotonic())
                self._known.keep((tenant_id, known_values.subject_id, actor), tenant_id, held)

    def is_granted(self, tenant_id: str, conversation_id: str, version: str) -> bool:
        """Say whether the conversation was granted this version of the record."""
        with self._lock:
            return self._granted.find((tenant_id, conversation_id)) == version

    def note_granted(self, tenant_id: str, conversation_id: str, version: str, *, epoch: int) -> None:
        """Note that it was."""
        with self._lock:
            if epoch == self._epoch:
                self._granted.keep((tenant_id, conversation_id), tenant_id, version)

    def forget_tenant(self, tenant_id: str) -> None:
        """Drop everything of a tenant."""
        with self._lock:
            self._epoch += 1
            for shelf in (self._texts, self._stored, self._known, self._granted):
                shelf.forget(tenant_id)
