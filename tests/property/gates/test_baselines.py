"""Baselines do not move with one outlier, scale with the amounts, and flag a fixed share of calm days that they never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.clock import NaiveTime
from gates.score.baselines import (
    MAX_DEVIATION,
    NO_HISTORY,
    Baselines,
    Feature,
    InvalidBaselines,
    Observation,
    TooLittleHistory,
    find_median,
    flag,
    learn_baselines,
    measure_usual,
    read_baselines,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
AMOUNT = Feature(name="amount_minor", reason="above_usual_amount")
COUNT = Feature(name="count_24h", reason="more_often_than_usual", floor=1)
FEATURES = (AMOUNT, COUNT)
amounts = st.integers(min_value=1, max_value=10**9)


def _calm(seed: str, *, entities: int, each: int, scale: int = 1) -> list[Observation]:
    """A quiet town: everyone has a habit of his own, small amounts are commoner, a day has one to four payments."""
    random = Random(seed)
    made: list[Observation] = []
    for entity in range(entities):
        habit = random.randrange(500, 9_000)
        for _ in range(each):
            values = {
                "amount_minor": scale * (habit + min(random.randrange(0, 4 * habit), random.randrange(0, 4 * habit))),
                "count_24h": random.choices((1, 2, 3, 4), (60, 25, 10, 5))[0],
            }
            moment = START + timedelta(minutes=random.randrange(0, 500_000))
            made.append(Observation(entity=f"cus_{entity}", group="EUR", occurred_at=moment, values=values))
    return made


def _learn(calm: Sequence[Observation], until: datetime) -> Baselines:
    return learn_baselines("customer", FEATURES, calm, until=until)


@given(values=st.lists(amounts, min_size=3, max_size=40), place=st.integers(min_value=0), outlier=st.just(10**15))
def test_one_outlier_does_not_move_the_median_beyond_its_neighbour(values: list[int], place: int, outlier: int) -> None:
    ranked = sorted(values)
    spoiled = list(values)
    spoiled[place % len(values)] = outlier
    middle = (len(values) - 1) // 2
    assert find_median(values) == ranked[middle]
    assert find_median(spoiled) in {ranked[middle], ranked[middle + 1]}


@given(values=st.lists(amounts, min_size=1, max_size=40), scale=st.integers(min_value=1, max_value=1_000))
def test_the_usual_scales_with_the_amounts(values: list[int], scale: int) -> None:
    usual = measure_usual(values, floor=0)
    scaled = measure_usual([value * scale for value in values], floor=0)
    assert scaled.median == usual.median * scale
    assert scaled.spread_numerator * usual.spread_denominator == usual.spread_numerator * scaled.spread_denominator * scale


@settings(max_examples=15, deadline=None)
@given(scale=st.sampled_from((2, 3, 7, 10, 999)), seed=st.integers(0, 50), extra=st.integers(0, 30))
def test_flags_are_the_same_in_any_unit(scale: int, seed: int, extra: int) -> None:
    until = START + timedelta(days=400)
    plain = _learn(_calm(f"unit {seed}", entities=6, each=80), until)
    scaled = _learn(_calm(f"unit {seed}", entities=6, each=80, scale=scale), until)
    for item in _calm(f"other {seed}", entities=6, each=5):
        loud = {"amount_minor": item.values["amount_minor"] * (1 + extra), "count_24h": item.values["count_24h"]}
        same = loud | {"amount_minor": loud["amount_minor"] * scale}
        assert flag(plain, replace(item, values=loud)) == flag(scaled, replace(item, values=same))


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_one_in_a_hundred_calm_observations_is_flagged_held_out_too(seed: str) -> None:
    town = _calm(seed, entities=40, each=400)
    until = START + timedelta(minutes=350_000)
    learned = _learn(town, until)
    assert 50 <= learned.flagged_per_10k <= 100
    assert all(0 <= threshold.flagged_per_10k <= 100 for threshold in learned.thresholds.values())
    unseen = [item for item in town if item.occurred_at >= until]
    flagged = sum(bool(flag(learned, item)) for item in unseen) * 10_000 // len(unseen)
    assert 40 <= flagged <= 170, f"{flagged} of 10,000 flagged, of {len(unseen)}"


def test_what_breaks_from_the_usual_says_why() -> None:
    learned = _learn(_calm("why", entities=10, each=200), START + timedelta(days=400))
    usual = Observation("cus_1", "EUR", START, {"amount_minor": learned.entities["cus_1"]["amount_minor"].median, "count_24h": 1})
    assert flag(learned, usual) == ()
    assert flag(learned, replace(usual, values={"amount_minor": 10**8, "count_24h": 1})) == ("above_usual_amount",)
    assert flag(learned, replace(usual, values={"amount_minor": 1, "count_24h": 60})) == ("more_often_than_usual",)
    both = flag(learned, replace(usual, values={"amount_minor": 10**8, "count_24h": 60}))
    assert both == ("above_usual_amount", "more_often_than_usual")
    # Less than usual is no risk; a value that is missing or no integer is the highest.
    assert flag(learned, replace(usual, values={"amount_minor": 1, "count_24h": 0})) == ()
    for odd in ({"count_24h": 1}, {"amount_minor": 2.5, "count_24h": 1}, {"amount_minor": True, "count_24h": 1}):
        assert flag(learned, replace(usual, values=odd)) == ("above_usual_amount",)  # type: ignore[arg-type]
    assert flag(learned, replace(usual, entity="cus_new")) == ()
    assert flag(learned, replace(usual, entity="cus_new", group="XXX")) == (NO_HISTORY,)


def test_nothing_after_the_moment_is_learned() -> None:
    until = START + timedelta(minutes=300_000)
    town = _calm("time", entities=10, each=200)
    later = [
        replace(item, values={"amount_minor": 10**9, "count_24h": 99}) if item.occurred_at >= until else item for item in town
    ]
    assert _learn(later, until) == _learn(town, until)
    # In any order of its rows.
    assert _learn(town[::-1], until).ref == _learn(town, until).ref
    with pytest.raises(NaiveTime):
        _learn(town, until.replace(tzinfo=None))
    with pytest.raises(TooLittleHistory):
        _learn(town[:20], until)


def test_a_file_reads_back_and_a_broken_one_is_refused() -> None:
    learned = _learn(_calm("file", entities=5, each=100), START + timedelta(days=400))
    text = learned.model_dump_json()
    assert read_baselines(text) == learned
    assert read_baselines(text).ref == learned.ref
    for old, new in (
        ('"floor":1', '"floor":1.5'),
        ('"spread_numerator":', '"spread_numerator":-'),
        ('"count_24h":{"above"', '"other":{"above"'),
        ('"subject":"customer"', '"subject":"customer","more":1'),
    ):
        assert old in text
        with pytest.raises(InvalidBaselines):
            read_baselines(text.replace(old, new, 1))


def test_deviations_are_bounded() -> None:
    learned = _learn(_calm("bound", entities=5, each=100), START + timedelta(days=400))
    huge = Observation("cus_1", "EUR", START, {"amount_minor": 10**40, "count_24h": 1})
    assert flag(learned, huge) == ("above_usual_amount",)
    assert all(threshold.above < MAX_DEVIATION for threshold in learned.thresholds.values())
