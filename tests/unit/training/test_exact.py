"""The integer arithmetic agrees with the real one, and no float is anywhere on the way from records to artifacts."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.artifact import Candidate
from training.exact import divide_nearest, log2_milli, lowest_threshold, pick_quantile
from training.metrics import find_auc_permille, measure

ROOT = Path(__file__).parents[3]
positive = st.integers(min_value=1, max_value=10**12)


@given(numerator=positive, denominator=positive)
def test_logarithm_is_right_to_a_thousandth(numerator: int, denominator: int) -> None:
    exact = 1_000 * (math.log2(numerator) - math.log2(denominator))
    assert exact - 1.01 <= log2_milli(numerator, denominator) <= exact + 0.01


def test_logarithm_of_powers_is_exact() -> None:
    assert [log2_milli(2**power, 1) for power in (0, 1, 10, 60)] == [0, 1_000, 10_000, 60_000]
    assert log2_milli(1, 8) == -3_000
    for numerator, denominator in ((0, 1), (1, 0), (-1, 1)):
        with pytest.raises(ValueError, match="positive"):
            log2_milli(numerator, denominator)


@given(numerator=st.integers(-(10**9), 10**9), denominator=st.integers(1, 10**6))
def test_division_rounds_to_the_nearest_and_is_odd(numerator: int, denominator: int) -> None:
    quotient = divide_nearest(numerator, denominator)
    assert abs(2 * (quotient * denominator - numerator)) <= denominator
    assert divide_nearest(-numerator, denominator) == -quotient


@given(scores=st.lists(st.integers(0, 1_000), min_size=1, max_size=300), share=st.integers(0, 9_999))
def test_lowest_threshold_is_reached_by_no_more_than_the_share(scores: list[int], share: int) -> None:
    threshold = lowest_threshold(scores, at_most_per_10k=share)
    assert sum(score >= threshold for score in scores) * 10_000 <= share * len(scores)
    assert sum(score >= threshold - 1 for score in scores) * 10_000 > share * len(scores)
    assert pick_quantile(sorted(scores), 500) in scores


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60))
def test_auc_is_the_count_of_all_pairs(pairs: list[tuple[int, bool]]) -> None:
    scores, truths = [score for score, _ in pairs], [fraud for _, fraud in pairs]
    wins = [2 * (a > b) + (a == b) for a, x in pairs if x for b, y in pairs if not y]
    assert find_auc_permille(scores, truths) == (sum(wins) * 1_000 // (2 * len(wins)) if wins else 500)


def test_metrics_by_hand() -> None:
    # 4 frauds of which 3 are caught; 996 calm of which 10 are alerted wrongly.
    scores = [900, 800, 700, 100] + [650] * 10 + [50] * 986
    measured = measure(scores, [True] * 4 + [False] * 996, operating_point=600)
    assert (measured["caught"], measured["wrong"]) == (3, 10)
    assert measured["precision_permille"] == 3 * 1_000 // 13
    assert measured["recall_permille"] == 750
    assert measured["alerts_per_10k"] == 130
    # As if 1 in 1,000: of a million 750 of 1,000 frauds, and 999,000 x 10/996 = 10,030 calm ones.
    assert measured["precision_permille_at_1_in_1000"] == 69
    assert measured["alerts_per_10k_at_1_in_1000"] == 107


def _numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for held in value.values():
            yield from _numbers(held)
    elif isinstance(value, list | tuple):
        for held in value:
            yield from _numbers(held)
    else:
        yield value


def _floats_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield f"line {node.lineno}: a division"
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"line {node.lineno}: {node.value}"
        if isinstance(node, ast.Name | ast.Attribute) and getattr(node, "id", getattr(node, "attr", "")).startswith("float"):
            yield f"line {node.lineno}: a float type"


@pytest.mark.parametrize("path", sorted(ROOT.joinpath("training").glob("*.py")), ids=lambda path: path.stem)
def test_no_float_in_training(path: Path) -> None:
    assert list(_floats_in(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("name", ["baselines", "trees", "model"])
def test_no_float_in_what_training_makes_for(name: str) -> None:
    tree = ast.parse(ROOT.joinpath("gates", "score", f"{name}.py").read_text(encoding="utf-8"))
    assert list(_floats_in(tree)) == []


def test_no_float_in_an_artifact(candidates: tuple[Candidate, ...]) -> None:
    for candidate in candidates:
        assert {type(value) for value in _numbers([candidate.content, dict(candidate.lineage)])} <= {int, str, type(None)}
    assert list(_floats_in(ast.parse("a = 1.5\nb = 3 / 2\nc = np.float64"))) != []
