"""The facts that a schema declares, read once, so that a request is fitted without parsing the schema's whole context twice.

Cedar stays the judge: what is read here is proved against Cedar's own schema check, fact by fact, when the bundle loads. Where
the proof fails, there is no catalog, and Cedar fits every request itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_COMMENT = re.compile(r"//[^\n]*")
_TYPE = re.compile(r"\btype\s+(\w+)\s*=\s*\{([^{}]*)\}\s*;")
_FIELD = re.compile(r"\s*(\w+)(\?)?\s*:\s*(\w+)\s*")
_CONTEXT = re.compile(r"\bcontext\s*:\s*([\w:{]+)")
_ACTION_GROUP = re.compile(r"\baction\b[^;{]*\bin\b")
_SCALARS: Mapping[str, type] = {"Long": int, "String": str, "Bool": bool}
_RIGHT: Mapping[type, Any] = {int: 1, str: "x", bool: True}
_WRONG: Mapping[type, Any] = {int: "1", str: 1, bool: "true"}

Accepts = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class _Record:
    """Hold a record's fields: all of them with their types, and those that must be there."""

    fields: Mapping[str, type]
    required: frozenset[str]

    def fits(self, value: object) -> bool:
        if type(value) is not dict or not self.required <= value.keys():
            return False
        fields = self.fields
        # A loop: this is asked for each fact of each decision, and a generator costs twice as much.
        for name, inner in value.items():  # noqa: SIM110
            if fields.get(name) is not type(inner):
                return False
        return True


@dataclass(frozen=True, slots=True)
class FactCatalog:
    """Hold what a context may and must hold: groups of facts, and facts that stand alone."""

    groups: Mapping[str, _Record]
    top: _Record

    def fits(self, context: Mapping[str, Any]) -> bool:
        """Say whether a context has every fact that it must, none that is not declared, each of its declared type."""
        if not self.top.required <= context.keys():
            return False
        for name, value in context.items():
            group = self.groups.get(name)
            if not (self.top.fields.get(name) is type(value) if group is None else group.fits(value)):
                return False
        return True

    def is_proved(self, accepts: Accepts) -> bool:
        """Compare with what really judges: every fact left out, of another type, or not declared, one at a time."""
        whole = self.build_whole()
        least = self._build(lambda required: required)
        if not (accepts(whole) and accepts(least)):
            return False
        return all(accepts(odd) == self.fits(odd) for odd in self._make_odd(whole))

    def build_whole(self) -> dict[str, Any]:
        """Return a context with every declared fact, each with some value of its type."""
        return self._build(lambda _: True)

    def _build(self, wanted: Callable[[bool], bool]) -> dict[str, Any]:
        context: dict[str, Any] = {}
        for name, kind in self.top.fields.items():
            if wanted(name in self.top.required):
                context[name] = _fill(self.groups[name], wanted) if name in self.groups else _RIGHT[kind]
        return context

    def _make_odd(self, whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {**whole, "undeclared": 1}
        for name, value in whole.items():
            rest = {other: inner for other, inner in whole.items() if other != name}
            yield rest
            if name not in self.groups:
                yield {**rest, name: _WRONG[type(value)]}
                continue
            yield {**rest, name: 1}
            yield {**rest, name: {**value, "undeclared": 1}}
            for fact, inner in value.items():
                yield {**rest, name: {other: one for other, one in value.items() if other != fact}}
                yield {**rest, name: {**value, fact: _WRONG[type(inner)]}}


def read_catalog(schema_text: str) -> FactCatalog | None:
    """Read the declared facts, two levels deep. None when the schema says them in a way that is not read here."""
    text = _COMMENT.sub("", schema_text)
    if _ACTION_GROUP.search(text):
        # Which rules a group's member meets is known to Cedar only with the schema at hand.
        return None
    contexts = set(_CONTEXT.findall(text))
    types = {name: _read_fields(body) for name, body in _TYPE.findall(text)}
    facts = types.get(contexts.pop()) if len(contexts) == 1 else None
    if facts is None:
        return None
    groups: dict[str, _Record] = {}
    top: dict[str, type] = {}
    for name, (kind, _) in facts.items():
        if kind in _SCALARS:
            top[name] = _SCALARS[kind]
            continue
        declared = types.get(kind)
        if declared is None or any(inner not in _SCALARS for inner, _ in declared.values()):
            return None
        top[name] = dict
        groups[name] = _Record(
            fields={fact: _SCALARS[inner] for fact, (inner, _) in declared.items()},
            required=frozenset(fact for fact, (_, required) in declared.items() if required),
        )
    return FactCatalog(groups, _Record(top, frozenset(name for name, (_, required) in facts.items() if required)))


def _read_fields(body: str) -> dict[str, tuple[str, bool]] | None:
    fields: dict[str, tuple[str, bool]] = {}
    for part in body.split(","):
        if not part.strip():
            continue
        match = _FIELD.fullmatch(part)
        if match is None or match[1] in fields:
            return None
        fields[match[1]] = (match[3], match[2] is None)
    return fields


def _fill(record: _Record, wanted: Callable[[bool], bool]) -> dict[str, Any]:
    return {name: _RIGHT[kind] for name, kind in record.fields.items() if wanted(name in record.required)}


@dataclass(frozen=True, slots=True)
class Reads:
    """Hold which facts the rules for one kind of act read: the facts of each group, or None for the whole of it."""

    groups: Mapping[str, frozenset[str] | None]

    def trim(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of a context that these rules read. A group that they only ask for stays, though empty."""
        trimmed: dict[str, Any] = {}
        for group, facts in self.groups.items():
            value = context.get(group)
            if value is not None:
                trimmed[group] = value if facts is None else {fact: value[fact] for fact in facts if fact in value}
        return trimmed


def find_reads(policies_json: str, kind: str) -> Reads | None:
    """Return what a set's rules for a kind read. None when a rule reads the context in a way that is not understood here."""
    groups: dict[str, set[str] | None] = {}
    for policy in json.loads(policies_json)["staticPolicies"].values():
        if not _may_match(policy["action"], kind):
            continue
        for path, only_asks in _list_paths([condition["body"] for condition in policy["conditions"]]):
            if not path or len(path) > 2:
                return None
            group = groups.setdefault(path[0], set())
            if len(path) == 2 and group is not None:
                group.add(path[1])
            elif len(path) == 1 and not only_asks:
                groups[path[0]] = None
    return Reads({group: None if facts is None else frozenset(facts) for group, facts in groups.items()})


def _may_match(scope: Mapping[str, Any], kind: str) -> bool:
    """Say whether a rule's scope lets this kind through. A scope that is not read here does."""
    entities = scope.get("entities") or ([scope["entity"]] if "entity" in scope else [])
    if scope.get("op") not in {"==", "in"} or not entities:
        return True
    return any(entity.get("id") == kind for entity in entities)


def _list_paths(root: Any) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield every path below `context` that an expression reads, and whether it only asks if it is there."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        if not isinstance(node, Mapping):
            continue
        path = _resolve(node)
        if path is not None:
            yield path, False
            continue
        asked = node.get("has")
        left = _resolve(asked["left"]) if isinstance(asked, Mapping) and "attr" in asked else None
        if left is not None and isinstance(asked, Mapping):
            yield (*left, asked["attr"]), True
            continue
        waiting += node.values()


def _resolve(node: Any) -> tuple[str, ...] | None:
    if isinstance(node, Mapping) and node.get("Var") == "context":
        return ()
    step = node.get(".") if isinstance(node, Mapping) else None
    left = _resolve(step["left"]) if isinstance(step, Mapping) else None
    return None if left is None or not isinstance(step, Mapping) else (*left, step["attr"])
