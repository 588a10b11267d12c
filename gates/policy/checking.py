"""Check a bundle before anybody is asked about it: does it load, is every reason explained, does it answer its own tests?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.decision import Outcome
from domain.errors import InvalidInput
from domain.proposal import ActionKind
from gates.policy.bundle import MANIFEST, TESTS, InvalidBundle, PolicyBundle, load_bundle_directory
from gates.pure import decide_document
from gates.reasons import SENTENCES
from gates.score.model import ScoreModel


class UnreadableBundle(InvalidInput):
    """Say that there is no bundle to read in a folder."""

    code = "unreadable_bundle"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Expectation(_Frozen):
    outcome: Annotated[Outcome, Field(strict=False)]
    codes: list[str]


class _CaseLine(_Frozen):
    """Hold one line of tests.jsonl: a decide document and what the bundle must answer, its codes in precedence."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    input: dict[str, Any]
    expect: _Expectation


@dataclass(frozen=True, slots=True)
class Finding:
    """Hold one thing that is wrong with a bundle."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class CaseResult:
    """Hold what one test of a bundle expected and what it got."""

    name: str
    passed: bool
    expected: tuple[str, ...]
    got: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaseReport:
    """Hold how a bundle answered its own tests."""

    passed: int
    failed: int
    cases: tuple[CaseResult, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Hold what a check found. `sha256` is the bundle's address when it loads."""

    sha256: str | None
    version: str | None
    rules: int
    cases: int
    findings: tuple[Finding, ...]


def validate_directory(directory: Path, scorecard: ScoreModel) -> Report:
    """Check a bundle's folder: hashes, syntax, schema, annotations, sentences, its own tests. Raises: UnreadableBundle."""
    try:
        directory.joinpath(MANIFEST).read_bytes()
    except OSError as error:
        raise UnreadableBundle(f"{directory}: {error.strerror}") from None
    try:
        bundle = load_bundle_directory(directory)
        results = run_bundle_tests(bundle, scorecard)
    except InvalidBundle as error:
        return Report(sha256=None, version=None, rules=0, cases=0, findings=(Finding(error.code, error.message),))
    return Report(
        sha256=bundle.sha256,
        version=f"{bundle.manifest.name}@{bundle.manifest.version}",
        rules=len(bundle.rules),
        cases=len(results),
        findings=tuple(_find(bundle, results)),
    )


def run_bundle_tests(bundle: PolicyBundle, scorecard: ScoreModel) -> tuple[CaseResult, ...]:
    """Run a bundle's tests.jsonl, in order; none when it has no such file. Raises: InvalidBundle for a line that is no test."""
    lines = bundle.content["files"].get(TESTS, "").splitlines()
    results = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            case = _CaseLine.model_validate(json.loads(line))
            decision = decide_document(case.input, bundle=bundle, scorecard=scorecard)
        except (ValueError, ValidationError) as error:
            first = (
                error.errors(include_url=False, include_input=False)[0]["msg"] if isinstance(error, ValidationError) else error
            )
            raise InvalidBundle(f"{TESTS} line {number}: {first}") from None
        except InvalidInput as error:
            raise InvalidBundle(f"{TESTS} line {number}: {error.message}") from None
        expected = (case.expect.outcome.value, *case.expect.codes)
        got = (decision.outcome.value, *(reason.code for reason in decision.reasons))
        results.append(CaseResult(name=case.name, passed=expected == got, expected=expected, got=got))
    return tuple(results)


def _find(bundle: PolicyBundle, results: tuple[CaseResult, ...]) -> Iterator[Finding]:
    for code in sorted(bundle.reason_codes() - SENTENCES.keys()):
        yield Finding("unexplained_reason", f"no sentence says what {code} means: nobody could be told why")
    for rule in bundle.rules.values():
        if rule.outcome is Outcome.REVIEW and rule.approvals == 0:
            yield Finding("review_nobody_can_lift", f"{rule.policy_id} sends to people, but says @approvals 0")
    if not results:
        yield Finding("no_tests", f"the bundle has no {TESTS}: nothing says what it is meant to decide")
    for result in results:
        if not result.passed:
            yield Finding("test_failed", f"{result.name}: expected {' '.join(result.expected)}, got {' '.join(result.got)}")
    tested = _tested_kinds(bundle)
    for kind in sorted(_permitted_kinds(bundle) - tested):
        if results:
            yield Finding("untested_kind", f"the bundle permits {kind} and tests it nowhere")


def _tested_kinds(bundle: PolicyBundle) -> frozenset[str]:
    lines = bundle.content["files"].get(TESTS, "").splitlines()
    return frozenset(str(json.loads(line)["input"].get("proposal", {}).get("kind")) for line in lines if line.strip())


def _permitted_kinds(bundle: PolicyBundle) -> frozenset[str]:
    permits = bundle.content["files"]["permits.cedar"]
    return frozenset(kind.value for kind in ActionKind if f'Tellergate::Action::"{kind.value}"' in permits)
