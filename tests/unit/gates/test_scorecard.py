"""The scorecard is exact, bounded, explained, and refused when its file is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.score.scorecard import DEFAULT_SCORECARD, InvalidScorecard, load_scorecard, score_action
from tests.property.gates.samples import allowed_request

CARD = load_scorecard()
FACTS = sorted({column.fact for column in CARD.columns})


def test_a_quiet_customer_scores_low_and_a_loud_one_high() -> None:
    facts = dict(allowed_request().facts)
    quiet = score_action(facts, CARD)
    assert (quiet.score, quiet.reason_codes) == (40, ())
    loud = score_action(
        facts | {"customer.refunds_30d_count": 4, "customer.age_days": 3, "customer.failed_logins_7d_count": 9}, CARD
    )
    assert loud.score == 40 + 280 + 180 + 200
    assert loud.reason_codes == ("many_recent_refunds", "failed_logins", "new_customer")
    assert quiet.model_ref.startswith("scorecard:refund@1:")


@pytest.mark.parametrize(("value", "points"), [(0, 0), (1, 40), (2, 130), (3, 130), (4, 280), (10**12, 280), (-5, 0)])
def test_bins_include_their_upper_bound(value: int, points: int) -> None:
    facts = dict(allowed_request().facts) | {"customer.refunds_30d_count": value}
    assert score_action(facts, CARD).score == 40 + points


@pytest.mark.parametrize("odd", [None, "3", True, 2.0, [1]])
def test_what_is_no_integer_costs_what_a_missing_fact_costs(odd: Any) -> None:
    facts = dict(allowed_request().facts)
    missing = {name: value for name, value in facts.items() if name != "customer.age_days"}
    assert score_action(facts | {"customer.age_days": odd}, CARD) == score_action(missing, CARD)
    assert score_action(missing, CARD).reason_codes == ("new_customer",)


@given(facts=st.dictionaries(st.sampled_from(FACTS), st.integers() | st.none() | st.text() | st.booleans()))
def test_any_facts_score_within_bounds_and_the_same_again(facts: dict[str, Any]) -> None:
    result = score_action(facts, CARD)
    assert 0 <= result.score <= 1000
    assert len(result.reason_codes) <= 4
    assert score_action(dict(reversed(facts.items())), CARD) == result


@pytest.mark.parametrize(
    "change",
    [
        {"base_points": 1.5},
        {"format": "other"},
        {"characteristics": []},
        {"more": 1},
        {"bins": [{"up_to": 1, "points": 0}, {"up_to": 1, "points": 1}, {"up_to": None, "points": 2}]},
        {"bins": [{"up_to": 1, "points": 0}, {"up_to": 2, "points": 1}]},
        {"bins": [{"up_to": None, "points": 0}, {"up_to": None, "points": 1}]},
        {"twice": True},
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    card = json.loads(DEFAULT_SCORECARD.read_text())
    if "bins" in change:
        card["characteristics"][0]["bins"] = change["bins"]
    elif "twice" in change:
        card["characteristics"].append(card["characteristics"][0])
    else:
        card |= change
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card))
    with pytest.raises(InvalidScorecard):
        load_scorecard(path)


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidScorecard):
        load_scorecard(tmp_path / "none.json")
