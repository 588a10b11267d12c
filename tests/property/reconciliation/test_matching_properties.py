"""Whatever comes in, and in whatever order: nothing is used twice, nothing is lost, nothing is guessed."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.reconciliation.matching import Line, Movement, match_lines
from ledger.reconciliation.rules import RULES, BreakKind, Rule

# Few values, so that they meet: equal amounts, shared references, batches that overlap.
AMOUNTS = st.sampled_from([-1_000, -500, -495, -300, -200, 200, 300, 500])
TRANSFERS = [f"tfr_{letter}" for letter in "abcdefgh"]
KEYS = [*TRANSFERS, "dec_1", "dec_2", "tfr_unknown", "batch_1", "batch_2", "noise"]
DAYS = st.integers(0, 6).map(lambda days: date(2026, 3, 1) + timedelta(days=days))
CURRENCIES = st.sampled_from(["EUR", "EUR", "GBP"])


@st.composite
def scenes(draw: Any) -> dict[str, Any]:
    """Draw lines, movements, batches and barred pairs."""
    names = draw(st.lists(st.sampled_from(TRANSFERS), unique=True, max_size=8))
    movements = [
        Movement(
            name,
            draw(AMOUNTS),
            draw(CURRENCIES),
            draw(DAYS),
            frozenset({name, *draw(st.sets(st.sampled_from(["dec_1", "dec_2"])))}),
        )
        for name in names
    ]
    lines = [
        Line(
            f"stl_{number}", draw(AMOUNTS), draw(CURRENCIES), draw(DAYS), tuple(draw(st.sets(st.sampled_from(KEYS), max_size=3)))
        )
        for number in range(draw(st.integers(0, 8)))
    ]
    batches = {name: draw(st.frozensets(st.sampled_from(TRANSFERS), min_size=1, max_size=3)) for name in ("batch_1", "batch_2")}
    pairs = st.tuples(st.sampled_from([f"stl_{number}" for number in range(8)]), st.sampled_from(TRANSFERS))
    return {"lines": lines, "movements": movements, "batches": batches, "barred": draw(st.frozensets(pairs, max_size=4))}


def run(scene: dict[str, Any]) -> Any:
    return match_lines(scene["lines"], scene["movements"], batches=scene["batches"], barred=scene["barred"], rules=RULES)


@settings(max_examples=400)
@given(scenes())
def test_every_line_ends_once_and_no_transfer_is_used_twice(scene: dict[str, Any]) -> None:
    result = run(scene)
    ended = Counter([match.line_id for match in result.matches] + [item.line_id for item in result.breaks])
    assert ended == Counter(line.line_id for line in scene["lines"])
    used = Counter(transfer_id for match in result.matches for transfer_id in match.transfer_ids)
    assert all(count == 1 for count in used.values())
    assert used.keys() <= {movement.transfer_id for movement in scene["movements"]}


@given(scenes(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_is_irrelevant(scene: dict[str, Any], random: Any) -> None:
    result = run(scene)
    for name in ("lines", "movements"):
        random.shuffle(scene[name])
    assert run(scene) == result


@given(scenes())
def test_sums_are_conserved(scene: dict[str, Any]) -> None:
    """Lines are what was matched, plus the fees that were named, plus what is left over."""
    result = run(scene)
    amounts = {line.line_id: line.amount_minor for line in scene["lines"]}
    moved = {movement.transfer_id: movement.amount_minor for movement in scene["movements"]}
    for match in result.matches:
        assert sum(moved[item] for item in match.transfer_ids) + match.difference_minor == amounts[match.line_id]
        assert match.difference_minor == 0 or match.rule is Rule.REFERENCE_WITH_FEE
        assert match.difference_minor <= 0
    matched = sum(amounts[match.line_id] for match in result.matches)
    assert matched + sum(amounts[item.line_id] for item in result.breaks) == sum(amounts.values())


@given(scenes())
def test_no_match_could_have_been_another(scene: dict[str, Any]) -> None:
    """Take a match's transfers away: its line finds no other answer by the same rule among what the first run left free."""
    result = run(scene)
    lines = {line.line_id: line for line in scene["lines"]}
    moved = {movement.transfer_id: movement for movement in scene["movements"]}
    used = {transfer_id for match in result.matches for transfer_id in match.transfer_ids}
    for match in result.matches:
        line = lines[match.line_id]
        members = [moved[item] for item in match.transfer_ids]
        assert all(item.currency == line.currency and (line.line_id, item.transfer_id) not in scene["barred"] for item in members)
        if match.rule is not Rule.AMOUNT_AND_DATE:
            continue
        others = [
            item
            for item in scene["movements"]
            if item.transfer_id not in used
            and (item.amount_minor, item.currency) == (line.amount_minor, line.currency)
            and abs((item.occurred_on - line.booked_on).days) <= RULES.days
            and (line.line_id, item.transfer_id) not in scene["barred"]
        ]
        named = {key for other in scene["lines"] for key in other.reference_keys}
        spoken_for = {item.transfer_id for item in others if item.keys & named} | {
            item for key in named for item in scene["batches"].get(key, ())
        }
        disputed = {item for found in result.breaks if found.kind is BreakKind.AMBIGUOUS for item in found.transfer_ids}
        assert not {item.transfer_id for item in others} - spoken_for - disputed


@given(scenes())
def test_a_second_run_on_what_is_left_finds_nothing(scene: dict[str, Any]) -> None:
    """A job that runs every minute must not find by patience what the first run left to a person."""
    result = run(scene)
    matched = {match.line_id for match in result.matches}
    used = {transfer_id for match in result.matches for transfer_id in match.transfer_ids}
    scene["lines"] = [line for line in scene["lines"] if line.line_id not in matched]
    scene["movements"] = [item for item in scene["movements"] if item.transfer_id not in used]
    again = run(scene)
    assert not again.matches
    assert {item.line_id for item in again.breaks} == {item.line_id for item in result.breaks}
