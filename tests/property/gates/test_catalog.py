"""The short way to a decision answers as the long way: a fitted context and trimmed facts, or Cedar's own fit and all facts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.proposal import ActionKind
from gates.policy.bundle import PolicyBundle, load_bundle_directory
from gates.policy.catalog import FactCatalog, find_reads, read_catalog
from gates.policy.evaluation import PolicyRequest, check_policy
from tests.property.gates.samples import make_sample

STARTER = Path(__file__).resolve().parents[3] / "gates" / "bundles" / "starter"
SCHEMA = (STARTER / "schema.cedarschema").read_text()
_ODD_VALUES: tuple[Any, ...] = (None, 1.5, "", "x", -1, 2**53, True, [], {}, {"a": 1}, "posted")


@pytest.fixture(scope="module")
def bundle() -> PolicyBundle:
    return load_bundle_directory(STARTER)


def _make_context(rng: Random) -> tuple[str, dict[str, Any]]:
    request, _ = make_sample(rng)
    action = request.action
    context: dict[str, Any] = {
        "proposed": {"amount_minor": action.amount_minor, "currency": action.currency, "reason_code": action.reason_code},
        "origins": {origin.argument: origin.origin.value for origin in request.origins if origin.argument != "currency"},
        "score": request.score.score,
    }
    for name, value in request.facts.items():
        group, _, fact = name.partition(".")
        context.setdefault(group, {})[fact] = value
    return action.kind.value, context


def _break(rng: Random, context: dict[str, Any]) -> None:
    group = rng.choice(sorted(context))
    value = context[group]
    what = rng.choice(["drop group", "odd group", "drop", "odd", "add", "add group"])
    if what == "drop group":
        del context[group]
    elif what == "odd group" or type(value) is not dict:
        context[group] = rng.choice(_ODD_VALUES)
    elif what == "add group":
        context["invented"] = {"fact": 1}
    elif what == "add":
        value["invented"] = rng.choice(_ODD_VALUES)
    elif value:
        fact = rng.choice(sorted(value))
        if what == "drop":
            del value[fact]
        else:
            value[fact] = rng.choice(_ODD_VALUES)


@settings(max_examples=250, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**63), breaks=st.integers(min_value=0, max_value=2))
def test_the_short_way_answers_as_the_long_way(bundle: PolicyBundle, seed: int, breaks: int) -> None:
    rng = Random(seed)
    kind, context = _make_context(rng)
    for _ in range(breaks):
        _break(rng, context)
    request = PolicyRequest(tenant_id="demo", operator_id="opr_ada", kind=kind, context=context)
    short, long = check_policy(bundle, request), check_policy(replace(bundle, catalog=None), request)
    assert short.reasons == long.reasons
    assert bool(short.errors) == bool(long.errors)


def test_the_starter_goes_the_short_way_for_every_kind(bundle: PolicyBundle) -> None:
    assert bundle.catalog is not None
    assert bundle.reads.keys() == {kind.value for kind in ActionKind}


def _judge_by(catalog: FactCatalog) -> Any:
    return catalog.fits


def test_a_catalog_that_reads_the_schema_otherwise_than_cedar_is_not_proved() -> None:
    right = read_catalog(SCHEMA)
    assert right is not None
    assert right.is_proved(_judge_by(right))
    for old, new in (
        ("verdict?: String", "verdict: String"),
        ("count: Long };", "count: String };"),
        ("  type Load = {", "  type Load = { more?: Long,"),
    ):
        assert old in SCHEMA
        wrong = read_catalog(SCHEMA.replace(old, new, 1))
        assert wrong is not None
        assert not wrong.is_proved(_judge_by(right))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("type Hold = { owner_matches: Bool, ", "type Hold = { owner_matches: Set<Bool>, "),
        ("hold?: Hold,", "hold?: { state: String },"),
        ("context: Facts", "context: { grant: Grant }"),
        ("case?: Case,", "case?: Unknown,"),
        (
            "beneficiary_change, case_close, kyc_decision, unlisted\n",
            "beneficiary_change, case_close, kyc_decision, unlisted in [all]\n",
        ),
    ],
)
def test_a_schema_that_is_not_understood_has_no_catalog(old: str, new: str) -> None:
    assert old in SCHEMA
    assert read_catalog(SCHEMA.replace(old, new)) is None


def _get(left: Any, attr: str) -> dict[str, Any]:
    return {".": {"left": left, "attr": attr}}


def _has(left: Any, attr: str) -> dict[str, Any]:
    return {"has": {"left": left, "attr": attr}}


def _equals(left: Any) -> dict[str, Any]:
    return {"==": {"left": left, "right": {"Value": "x"}}}


def _find(body: Any, action: Any) -> Any:
    policy = {"action": action, "conditions": [{"kind": "when", "body": body}]}
    reads = find_reads(json.dumps({"staticPolicies": {"p": policy}}), "refund")
    return reads.groups if reads else "everything"


_CONTEXT = {"Var": "context"}
_GROUP = _get(_CONTEXT, "hold")
_FACT = _get(_GROUP, "state")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (_equals(_FACT), {"hold": frozenset({"state"})}),
        (_has(_CONTEXT, "hold"), {"hold": frozenset()}),
        (_has(_GROUP, "state"), {"hold": frozenset({"state"})}),
        ([_has(_CONTEXT, "hold"), _equals(_FACT)], {"hold": frozenset({"state"})}),
        (_equals(_GROUP), {"hold": None}),
        ([_GROUP, _FACT], {"hold": None}),
        ([_FACT, _GROUP], {"hold": None}),
        (_equals(_CONTEXT), "everything"),
        (_get(_FACT, "deeper"), "everything"),
    ],
)
def test_what_rules_read(body: Any, expected: Any) -> None:
    assert _find(body, {"op": "All"}) == expected


@pytest.mark.parametrize(
    ("action", "is_read"),
    [
        ({"op": "==", "entity": {"id": "refund"}}, True),
        ({"op": "==", "entity": {"id": "payment"}}, False),
        ({"op": "in", "entities": [{"id": "payment"}, {"id": "refund"}]}, True),
        ({"op": "in", "entities": [{"id": "payment"}]}, False),
        ({"op": "in", "entity": {"id": "payment"}}, False),
        ({"op": "is"}, True),
        ({"op": "in", "entities": []}, True),
    ],
)
def test_a_rule_of_another_kind_is_not_read_for(action: Any, is_read: bool) -> None:
    assert bool(_find(_FACT, action)) is is_read
