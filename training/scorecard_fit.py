"""Fit an integer scorecard: bins of a fact weigh as the evidence in them, the facts that help are taken one by one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gates.score.scorecard import MAX_SCORE
from training.exact import divide_nearest, log2_milli, lowest_threshold, pick_quantile
from training.metrics import find_auc_permille
from training.rows import PAYMENT_FACTS
from training.split import NothingToLearn, Side

CALM_POINTS, BAND_POINTS = 40, 600
"""An ordinary payment scores 40; one in a hundred calm ones reaches 600, from where on the starter policy reviews."""
CALM_ALERTS_PER_10K = 100
_MAX_FACTS = 9
_MIN_GAIN_PERMILLE = 1
# A bin holds enough of either kind, else its weight is chance.
_MIN_BIN_PERMILLE, _MIN_BIN_FRAUDS = 40, 8
_CALM_CUTS, _FRAUD_CUTS = (250, 500, 750, 900, 970, 990, 997), (250, 500, 750)
_MISSING_POINTS = 60


@dataclass(frozen=True, slots=True)
class _Column:
    """One fact in bins: their upper bounds, the last one open, and the weight of each, the commonest calm one at 0."""

    place: int
    bounds: tuple[int, ...]
    weights: tuple[int, ...]

    def weigh(self, facts: Sequence[int]) -> int:
        return self.weights[bisect_left(self.bounds, facts[self.place])]


def fit_scorecard(side: Side, *, name: str, version: str) -> dict[str, Any]:
    """Fit and return the content of a scorecard file. The same rows give the same card. Raises: NothingToLearn."""
    columns = [column for place in range(len(PAYMENT_FACTS)) if (column := _bin(side, place)) is not None]
    chosen = _choose(side, columns)
    raw = [sum(column.weigh(row.facts) for column in chosen) for row in side.rows]
    calm = sorted(score for score, fraud in zip(raw, side.is_fraud, strict=True) if not fraud)
    middle = pick_quantile(calm, 500)
    spread = lowest_threshold(calm, at_most_per_10k=CALM_ALERTS_PER_10K) - middle
    if spread <= 0:
        raise NothingToLearn("no fact tells the frauds from the rest")
    return {
        "format": "tellergate-scorecard/1",
        "name": name,
        "version": version,
        "base_points": CALM_POINTS - _scale(middle, spread),
        "characteristics": [_render(column, spread) for column in chosen],
    }


def _bin(side: Side, place: int) -> _Column | None:
    """Cut a fact where calm and fraudulent values lie, join bins that hold too little, and weigh what is left."""
    calm = sorted(row.facts[place] for row, fraud in zip(side.rows, side.is_fraud, strict=True) if not fraud)
    frauds = sorted(row.facts[place] for row, fraud in zip(side.rows, side.is_fraud, strict=True) if fraud)
    cuts = {pick_quantile(calm, permille) for permille in _CALM_CUTS} | {
        pick_quantile(frauds, permille) for permille in _FRAUD_CUTS
    }
    bounds: list[int] = []
    counts: list[tuple[int, int]] = []
    calm_before = frauds_before = 0
    for bound in sorted(cuts):
        below = _count_up_to(calm, bound) - calm_before, _count_up_to(frauds, bound) - frauds_before
        rest = len(calm) - calm_before - below[0], len(frauds) - frauds_before - below[1]
        if _is_enough(below, len(side.rows)) and _is_enough(rest, len(side.rows)):
            bounds.append(bound)
            counts.append(below)
            calm_before, frauds_before = calm_before + below[0], frauds_before + below[1]
    if not bounds:
        return None
    counts.append((len(calm) - calm_before, len(frauds) - frauds_before))
    weights = [log2_milli((2 * bad + 1) * len(calm), (2 * good + 1) * len(frauds)) for good, bad in counts]
    usual = max(range(len(counts)), key=lambda index: (counts[index][0], -index))
    return _Column(place, tuple(bounds), tuple(weight - weights[usual] for weight in weights))


def _is_enough(counts: tuple[int, int], rows: int) -> bool:
    return sum(counts) * 1_000 >= rows * _MIN_BIN_PERMILLE or counts[1] >= _MIN_BIN_FRAUDS


def _count_up_to(ranked: Sequence[int], bound: int) -> int:
    return bisect_left(ranked, bound + 1)


def _choose(side: Side, columns: Sequence[_Column]) -> list[_Column]:
    """Take the fact that helps most, then the one that helps most beside it, until none helps."""
    chosen: list[_Column] = []
    totals = [0] * len(side.rows)
    best_permille = 500
    while len(chosen) < _MAX_FACTS:
        tried = [
            (find_auc_permille(_add(totals, side, column), side.is_fraud), -column.place, column)
            for column in columns
            if column not in chosen
        ]
        gained, _, column = max(tried, key=lambda item: item[:2])
        if gained < best_permille + _MIN_GAIN_PERMILLE:
            break
        best_permille = gained
        totals = _add(totals, side, column)
        chosen.append(column)
    if not chosen:
        raise NothingToLearn("no fact tells the frauds from the rest")
    return sorted(chosen, key=lambda column: column.place)


def _add(totals: Sequence[int], side: Side, column: _Column) -> list[int]:
    return [total + column.weigh(row.facts) for total, row in zip(totals, side.rows, strict=True)]


def _scale(weight: int, spread: int) -> int:
    return divide_nearest(weight * (BAND_POINTS - CALM_POINTS), spread)


def _render(column: _Column, spread: int) -> dict[str, Any]:
    fact, reason = PAYMENT_FACTS[column.place]
    points = [min(max(_scale(weight, spread), -MAX_SCORE), MAX_SCORE) for weight in column.weights]
    return {
        "fact": fact,
        "reason": reason,
        "missing_points": max(*points, _MISSING_POINTS),
        "bins": [{"up_to": bound, "points": held} for bound, held in zip((*column.bounds, None), points, strict=True)],
    }
