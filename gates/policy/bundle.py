"""A policy bundle: two Cedar sets, their schema and a manifest. Content-addressed, immutable, refused when anything is off."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import cedarpy
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.canonical import digest_of
from domain.decision import Outcome
from domain.errors import SetupError
from domain.proposal import ActionKind
from gates.policy.catalog import FactCatalog, Reads, find_reads, read_catalog

PERMITS = "permits.cedar"
RESTRICTIONS = "restrictions.cedar"
SCHEMA = "schema.cedarschema"
MANIFEST = "bundle.json"
FEES = "fees.json"
TESTS = "tests.jsonl"
_FILES = (PERMITS, RESTRICTIONS, SCHEMA)
_OPTIONAL_FILES = (FEES, TESTS)
# The second set stands on an allow-all, so that a matching restriction is the only thing that turns it.
BASELINE_ID = "baseline"
_BASELINE = f'@id("{BASELINE_ID}")\npermit (principal, action, resource);\n'
_REASON = re.compile(r"[a-z][a-z0-9_]{2,60}")
_POLICY_ID = re.compile(r"[a-z][a-z0-9-]{2,60}")
_ALLOWED_OUTCOMES = {
    (PERMITS, "permit"): frozenset({Outcome.ALLOW}),
    (PERMITS, "forbid"): frozenset({Outcome.DENY}),
    (RESTRICTIONS, "forbid"): frozenset({Outcome.HOLD, Outcome.REVIEW}),
}


NAMESPACE = "Tellergate"
# Everything a rule may read is in the context, so that one digest covers it.
NO_ENTITIES = cedarpy.Entities.from_json_str("[]")
_ALLOW_ALL = cedarpy.PolicySet.from_str(_BASELINE)


def make_request(*, tenant_id: str, operator_id: str, kind: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request as Cedar takes it."""
    return {
        "principal": {"type": f"{NAMESPACE}::Operator", "id": operator_id},
        "action": {"type": f"{NAMESPACE}::Action", "id": kind},
        "resource": {"type": f"{NAMESPACE}::Tenant", "id": tenant_id},
        "context": json.dumps(context),
    }


class InvalidBundle(SetupError):
    """Say what in a policy bundle is missing, changed or wrong. Such a bundle is never used."""

    code = "invalid_policy_bundle"


class Manifest(BaseModel):
    """Hold `bundle.json`: name, version, lifetimes, budgets, and the SHA-256 of each other file.

    `_s` is seconds, `_1h` a count within the last hour, `max_drift_permille` the share of changed answers that needs no reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["tellergate-policy-bundle/1"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z.-]{1,40}$")]
    review_lifetime_s: Annotated[int, Field(ge=60, le=30 * 86400)]
    hold_lifetime_s: Annotated[int, Field(ge=60, le=30 * 86400)] = 86400
    review_source_limit_1h: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    review_budget_1h: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    reviewer_budget_1h: Annotated[int, Field(ge=1, le=1_000_000)] = 60
    escalate_after_s: Annotated[int, Field(ge=60, le=30 * 86400)] = 14400
    max_drift_permille: Annotated[int, Field(ge=0, le=1000)] = 20
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """Hold what one policy asks for when it matches. `approvals` is how many people may lift it; 0 is nobody."""

    policy_id: str
    outcome: Outcome
    reason: str
    approvals: int


@dataclass(frozen=True, slots=True)
class PolicyBundle:
    """Hold a checked, parsed bundle. Made only by the loaders of this module."""

    sha256: str
    manifest: Manifest
    content: Mapping[str, Any]
    rules: Mapping[str, Rule]
    permits: cedarpy.PolicySet
    restrictions: cedarpy.PolicySet
    schema: cedarpy.Schema
    catalog: FactCatalog | None = None
    """What the schema declares, proved against Cedar; None where Cedar fits every request itself."""
    reads: Mapping[str, tuple[Reads, Reads]] = field(default_factory=dict)
    """By kind: what the permits and what the restrictions read. A kind that is not here gets the whole context."""

    def reason_codes(self) -> frozenset[str]:
        """Return every code that a rule of this bundle can give."""
        return frozenset(rule.reason for rule in self.rules.values())


def load_bundle_directory(directory: Path) -> PolicyBundle:
    """Read and check a bundle from its folder. Raises: InvalidBundle."""
    try:
        files = {name: directory.joinpath(name).read_text(encoding="utf-8") for name in _list_files(directory)}
        manifest = json.loads(directory.joinpath(MANIFEST).read_text(encoding="utf-8"))
    except (OSError, UnicodeError, json.JSONDecodeError) as error:
        raise InvalidBundle(f"{directory}: {error}") from error
    return load_bundle_content({"manifest": manifest, "files": files})


def load_bundle_content(content: Mapping[str, Any], *, expected_sha256: str | None = None) -> PolicyBundle:
    """Check and parse a bundle's content; it is addressed by the SHA-256 of its canonical form. Raises: InvalidBundle."""
    if set(content) != {"manifest", "files"} or not isinstance(content["files"], Mapping):
        raise InvalidBundle("a bundle's content is {manifest, files}")
    try:
        manifest = Manifest.model_validate(content["manifest"])
    except ValidationError as error:
        raise InvalidBundle(f"{MANIFEST}: {error.errors(include_url=False, include_input=False)}") from error
    unknown = (set(content["files"]) | set(manifest.files)) - {*_FILES, *_OPTIONAL_FILES}
    if unknown:
        raise InvalidBundle(f"a bundle holds {', '.join(_FILES)} and may hold {', '.join(_OPTIONAL_FILES)}; not {min(unknown)!r}")
    files = {
        name: _require_file(content["files"], manifest, name) for name in sorted({*_FILES, *content["files"], *manifest.files})
    }
    # What the author left to a default stays out of the address, so that a setting added later moves no address.
    written = manifest.model_dump(mode="json", exclude_unset=True)
    sha256 = digest_of({"manifest": written, "files": files})
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise InvalidBundle(f"bundle {expected_sha256} has other content: it hashes to {sha256}")
    rules = _read_rules(files)
    permits, restrictions, schema = _parse(files)
    return PolicyBundle(
        sha256=sha256,
        manifest=manifest,
        content=MappingProxyType({"manifest": written, "files": files}),
        rules=MappingProxyType(rules),
        permits=permits,
        restrictions=restrictions,
        schema=schema,
        catalog=_prove_catalog(files[SCHEMA]),
        reads=MappingProxyType(dict(_find_reads(files))),
    )


def seal_bundle_directory(directory: Path) -> str:
    """Write the present files' hashes into `bundle.json` and return the bundle's address. For authors, after an edit.

    Raises: InvalidBundle when the sealed bundle does not load.
    """
    path = directory.joinpath(MANIFEST)
    manifest = json.loads(path.read_text(encoding="utf-8"))
    names = _list_files(directory)
    manifest["files"] = {name: _hash_text(directory.joinpath(name).read_text(encoding="utf-8")) for name in names}
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return load_bundle_directory(directory).sha256


def _list_files(directory: Path) -> tuple[str, ...]:
    return (*_FILES, *(name for name in _OPTIONAL_FILES if directory.joinpath(name).is_file()))


def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _require_file(files: Mapping[str, Any], manifest: Manifest, name: str) -> str:
    text = files.get(name)
    if not isinstance(text, str):
        raise InvalidBundle(f"{name} is missing")
    if manifest.files.get(name) != _hash_text(text):
        raise InvalidBundle(f"{name} was changed after it was sealed: its hash is not the one in {MANIFEST}")
    return text


def _parse(files: Mapping[str, str]) -> tuple[cedarpy.PolicySet, cedarpy.PolicySet, cedarpy.Schema]:
    try:
        schema = cedarpy.Schema.from_str(files[SCHEMA])
        permits = cedarpy.PolicySet.from_str(files[PERMITS])
        restrictions = cedarpy.PolicySet.from_str(files[RESTRICTIONS]).with_added_str(_BASELINE)
    except ValueError as error:
        raise InvalidBundle(f"the bundle does not parse: {error}") from error
    for name in (PERMITS, RESTRICTIONS):
        result = cedarpy.validate_policies(files[name], schema)
        if not result.validation_passed:
            raise InvalidBundle(f"{name} does not fit {SCHEMA}: {'; '.join(str(error) for error in result.errors)}")
    return permits, restrictions, schema


@lru_cache(maxsize=8)
def _prove_catalog(text: str) -> FactCatalog | None:
    catalog, schema = read_catalog(text), cedarpy.Schema.from_str(text)

    def accepts_as(kind: str, context: Mapping[str, Any]) -> bool:
        request = make_request(tenant_id="t", operator_id="o", kind=kind, context=context)
        try:
            return not cedarpy.is_authorized(request, _ALLOW_ALL, NO_ENTITIES, schema).diagnostics.errors
        except ValueError:
            return False

    if catalog is None or not catalog.is_proved(partial(accepts_as, ActionKind.REFUND.value)):
        return None
    whole = catalog.build_whole()
    return catalog if all(accepts_as(kind.value, whole) for kind in ActionKind) else None


def _find_reads(files: Mapping[str, str]) -> Iterator[tuple[str, tuple[Reads, Reads]]]:
    permits, restrictions = (cedarpy.policies_to_json_str(files[name]) for name in (PERMITS, RESTRICTIONS))
    for kind in ActionKind:
        pair = find_reads(permits, kind.value), find_reads(restrictions, kind.value)
        if pair[0] is not None and pair[1] is not None:
            yield kind.value, (pair[0], pair[1])


def _read_rules(files: Mapping[str, str]) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for name in (PERMITS, RESTRICTIONS):
        try:
            policies = json.loads(cedarpy.policies_to_json_str(files[name]))
        except ValueError as error:
            raise InvalidBundle(f"{name} does not parse: {error}") from error
        if policies.get("templates") or policies.get("templateLinks"):
            raise InvalidBundle(f"{name}: templates are not used here")
        for policy in policies["staticPolicies"].values():
            rule = _read_rule(name, policy)
            if rule.policy_id in rules or rule.policy_id == BASELINE_ID:
                raise InvalidBundle(f"{name}: @id {rule.policy_id!r} stands twice")
            rules[rule.policy_id] = rule
    return rules


def _read_rule(name: str, policy: Mapping[str, Any]) -> Rule:
    annotations = policy.get("annotations", {})
    policy_id, reason = str(annotations.get("id")), str(annotations.get("reason"))
    if not _POLICY_ID.fullmatch(policy_id):
        raise InvalidBundle(f'{name}: every policy needs @id("lower-case-words"), got {policy_id!r}')
    if not _REASON.fullmatch(reason):
        raise InvalidBundle(f'{name}: {policy_id} needs @reason("lower_snake")')
    allowed = _ALLOWED_OUTCOMES.get((name, policy["effect"]), frozenset())
    outcome = str(annotations.get("outcome"))
    if outcome not in {member.value for member in allowed}:
        expected = " or ".join(sorted(member.value for member in allowed)) or "no such effect"
        raise InvalidBundle(f"{name}: {policy_id} is a {policy['effect']} with @outcome({outcome!r}); expected {expected}")
    approvals = str(annotations.get("approvals", "0"))
    if approvals not in {"0", "1", "2", "3", "4", "5"}:
        raise InvalidBundle(f"{name}: {policy_id} has @approvals({approvals!r}); expected 0 to 5")
    return Rule(policy_id=policy_id, outcome=Outcome(outcome), reason=reason, approvals=int(approvals))
