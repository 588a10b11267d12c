"""A JSON record: its leaves masked one by one, never joined, with the places of what was found. Keys say what a value is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from domain.errors import InvalidInput
from domain.origin import Origin
from masking.classes import PiiClass
from masking.input_text import require_text
from masking.known_values import KnownValueFinder
from masking.masked_message import MaskedMessage, MaskScope, TextToMask
from masking.masker import Masker
from masking.patterns import CHECKED_SCORE, find_patterns
from masking.structure import class_of_key, is_kept_key
from masking.text import MaskedText, masked_from_store
from masking.vault import KnownValues

MAX_DEPTH = 64
MAX_LEAVES = 10_000
# What a whole object under such a key is made of: the parts of an address, of a name.
_SPREADING = frozenset({PiiClass.ADDRESS, PiiClass.PERSON})
# `{"name": "email", "value": …}`: the first member says what the second one is.
_LABEL_KEYS = ("key", "name", "field", "label", "type")
_VALUE_KEY = "value"
_LABELLED_LENGTH = 2


class RecordTooLarge(InvalidInput):
    """Say that a record nests too deep or has too many values."""

    code = "record_too_large"


class NotARecord(InvalidInput):
    """Say that a value is none that JSON has."""

    code = "not_a_record"


@dataclass(frozen=True, slots=True)
class RecordSpan:
    """Hold one value of a record. `pointer` (RFC 6901) leads to its leaf in the masked record; places are of the leaf's text."""

    pointer: str
    start: int
    end: int
    masked_start: int
    masked_end: int
    token: str
    pii_class: PiiClass


@dataclass(frozen=True, slots=True)
class MaskedRecord:
    """Hold a record without its values. A number that was one is a text now. `spans` are of leaves; keys have none."""

    value: Any
    spans: tuple[RecordSpan, ...]

    def to_text(self) -> MaskedText:
        """Return it as JSON."""
        return masked_from_store(orjson.dumps(self.value).decode())


@dataclass(frozen=True, slots=True)
class _Key:
    """What a leaf's keys say: its class, or that it must be kept; neither where they say nothing."""

    name: str = ""
    pii_class: PiiClass | None = None
    is_kept: bool = False


@dataclass(slots=True)
class _Walk:
    """The texts of a record in the order in which they are met, each once; first all are collected, then all are put back."""

    finder: KnownValueFinder | None
    places: dict[tuple[str, PiiClass | None], int] = field(default_factory=dict)
    leaves: int = 0


def mask_record(
    masker: Masker, value: Any, *, scope: MaskScope, origin: Origin, known_values: KnownValues | None = None
) -> MaskedRecord:
    """Mask a JSON value in one transaction of the vault: all of it, or nothing. Idempotent.

    A leaf whose key names a class is a value of that class in whole; a leaf whose key names a fact stays, unless the record or
    check digits know better. A key is masked only where a value with check digits stands in it.
    Raises: RecordTooLarge, NotARecord, and what `Masker.mask_many` raises.
    """
    walk = _Walk(KnownValueFinder(known_values) if known_values and known_values.values else None)
    _collect(walk, value, _Key(), depth=0)
    items = [TextToMask(text, scope, known_values, whole=whole) for text, whole in walk.places]
    messages = masker.mask_many(items, tenant_id=scope.tenant_id, origin=origin, source="message") if items else ()
    masked = dict(zip(walk.places, messages, strict=True))
    spans: list[RecordSpan] = []
    return MaskedRecord(_rebuild(walk, value, _Key(), "", masked, spans), tuple(spans))


def _collect(walk: _Walk, value: Any, key: _Key, *, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RecordTooLarge(f"the record nests deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        for name, inner, inner_key in _members(value, key):
            require_text(name)
            if _holds_checked(name, walk.finder):
                walk.places.setdefault((name, None), len(walk.places))
            _collect(walk, inner, inner_key, depth=depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            _collect(walk, inner, key, depth=depth + 1)
    else:
        walk.leaves += 1
        if walk.leaves > MAX_LEAVES:
            raise RecordTooLarge(f"the record has more than {MAX_LEAVES} values: send it in parts")
        if isinstance(value, str):
            require_text(value)
        wanted = _wanted(walk, value, key)
        if wanted is not None:
            walk.places.setdefault(wanted, len(walk.places))


def _members(value: Mapping[Any, Any], key: _Key) -> Iterator[tuple[str, Any, _Key]]:
    labelled = _labelled_key(value)
    for name, inner in value.items():
        if not isinstance(name, str):
            raise NotARecord(f"a key is text, found {type(name).__name__}")
        if labelled is not None:
            yield name, inner, labelled if name == _VALUE_KEY else _Key(name, is_kept=True)
        else:
            yield name, inner, _read_key(name, key)


def _labelled_key(value: Mapping[Any, Any]) -> _Key | None:
    """Return what `{"name": "email", "value": …}` says of its value, None for any other object."""
    if len(value) != _LABELLED_LENGTH or _VALUE_KEY not in value:
        return None
    label = next((value[name] for name in _LABEL_KEYS if name in value), None)
    if not isinstance(label, str):
        return None
    key = _read_key(label, _Key())
    return key if key.pii_class is not None or key.is_kept else None


def _read_key(name: str, parent: _Key) -> _Key:
    """Read a key together with the one above it (`card`, `number`), then alone, then as a part of what stands above."""
    for whole in (f"{parent.name}_{name}", name) if parent.name else (name,):
        pii_class = class_of_key(whole)
        if pii_class is not None or is_kept_key(whole):
            return _Key(name, pii_class, pii_class is None)
    return _Key(name, parent.pii_class if parent.pii_class in _SPREADING else None)


def _wanted(walk: _Walk, value: Any, key: _Key) -> tuple[str, PiiClass | None] | None:
    """Return the text of a leaf that is to be masked and the class that it is in whole; None for what stays."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        if not value.strip():
            return None
        if key.pii_class is not None:
            return value, key.pii_class
        return None if key.is_kept and not _holds_checked(value, walk.finder) else (value, None)
    if isinstance(value, int | float):
        text = repr(value)
        if key.pii_class is not None:
            return text, key.pii_class
        return (text, None) if _holds_checked(text, walk.finder) else None
    raise NotARecord(f"a value is text, a number, true, false, null, a list or an object, found {type(value).__name__}")


def _holds_checked(text: str, finder: KnownValueFinder | None) -> bool:
    if any(hit.score >= CHECKED_SCORE for hit in find_patterns(text)):
        return True
    return finder is not None and any(True for _ in finder.find(text, with_parts=False))


def _rebuild(
    walk: _Walk,
    value: Any,
    key: _Key,
    pointer: str,
    masked: Mapping[tuple[str, PiiClass | None], MaskedMessage],
    spans: list[RecordSpan],
) -> Any:
    if isinstance(value, Mapping):
        members: dict[str, Any] = {}
        for name, inner, inner_key in _members(value, key):
            shown = _free_name(masked[name, None].masked.text if _holds_checked(name, walk.finder) else name, members)
            members[shown] = _rebuild(walk, inner, inner_key, f"{pointer}/{_escape(shown)}", masked, spans)
        return members
    if isinstance(value, list | tuple):
        return [_rebuild(walk, inner, key, f"{pointer}/{place}", masked, spans) for place, inner in enumerate(value)]
    wanted = _wanted(walk, value, key)
    message = None if wanted is None else masked[wanted]
    if message is None or not message.spans:
        return value
    spans += [
        RecordSpan(pointer, one.start, one.end, one.masked_start, one.masked_end, one.token, one.pii_class)
        for one in message.spans
    ]
    return message.masked.text


def _free_name(name: str, members: Mapping[str, Any]) -> str:
    """Return a key that the object does not have yet: two spellings of one number have one token."""
    free, number = name, 1
    while free in members:
        number += 1
        free = f"{name} ({number})"
    return free


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
