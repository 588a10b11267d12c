"""Nothing malformed is ever allowed: proposals, facts, contexts and bundles that are wrong in some way."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.decision import Outcome
from domain.proposal import ActionKind
from gates.examples import example_document
from gates.policy.bundle import PolicyBundle, load_bundle_directory
from gates.pure import decide_document
from gates.score.scorecard import Scorecard, load_scorecard
from tests.property.gates.malformed import count_malformed_allows

STARTER = Path(__file__).resolve().parents[3] / "gates" / "bundles" / "starter"


@pytest.fixture(scope="module")
def bundle() -> PolicyBundle:
    return load_bundle_directory(STARTER)


@pytest.fixture(scope="module")
def scorecard() -> Scorecard:
    return load_scorecard()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_malformed_document_is_allowed(bundle: PolicyBundle, scorecard: Scorecard, seed: int) -> None:
    assert count_malformed_allows(bundle, scorecard, seed=seed, count=500) == {}


@pytest.mark.parametrize("kind", [kind for kind in ActionKind if kind is not ActionKind.UNLISTED])
def test_every_single_fact_is_needed(bundle: PolicyBundle, scorecard: Scorecard, kind: ActionKind) -> None:
    usual = decide_document(example_document(kind), bundle=bundle, scorecard=scorecard)
    for group, facts in example_document(kind)["facts"].items():
        for fact in facts:
            document = example_document(kind)
            del document["facts"][group][fact]
            decision = decide_document(document, bundle=bundle, scorecard=scorecard)
            assert decision.outcome is not Outcome.ALLOW, f"{group}.{fact}"
            assert usual.outcome is Outcome.REVIEW or decision.outcome is Outcome.REVIEW, f"{group}.{fact}"
