"""Fit shallow boosted trees by least squares, in integers alone: gradients, gains and leaves are exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from gates.score.trees import MILLI
from training.exact import divide_nearest, lowest_threshold, pick_quantile
from training.rows import PAYMENT_FACTS
from training.scorecard_fit import BAND_POINTS, CALM_ALERTS_PER_10K, CALM_POINTS
from training.split import NothingToLearn, Side

TREES, DEPTH = 60, 2
_ONE = 1 << 20
"""Stands for certainty: the target of a fraud. A calm row's is 0."""
_RATE_NUMERATOR, _RATE_DENOMINATOR = 1, 10
_PRIOR_WEIGHT = 60
_MIN_ROWS = 12
_MAX_CUTS = 20
_FACTS_OF_A_TREE = len(PAYMENT_FACTS) * 3 // 4
_MISSING_MILLI = 150 * MILLI
_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows as integer columns: facts, cuts per fact, bin of each value, weight and target of each row."""

    facts: _Integers
    cuts: tuple[tuple[int, ...], ...]
    bins: _Integers
    weights: _Integers
    targets: _Integers


@dataclass(frozen=True, slots=True)
class _Branch:
    """A split in the making. `low` and `high` are branches or ends."""

    place: int
    up_to: int
    low: _Branch | _End
    high: _Branch | _End


@dataclass(frozen=True, slots=True)
class _End:
    """What each fact on the way adds, in parts of `_ONE`."""

    adds: dict[int, int]


@dataclass(frozen=True, slots=True)
class _Best:
    gain: int
    place: int
    cut: int


def fit_trees(side: Side, *, seed: int, name: str, version: str) -> dict[str, Any]:
    """Fit and return the content of a table of trees. Each tree sees three quarters of the facts, drawn by the seed.

    The same rows and seed give the same table. Raises: NothingToLearn.
    """
    table = _tabulate(side)
    predicted = np.full(len(side.rows), _ONE // 2, dtype=np.int64)
    base = _ONE // 2
    trees: list[_Branch | _End] = []
    for index in range(TREES):
        places = sorted(Random(f"{seed}:{index}").sample(range(len(PAYMENT_FACTS)), _FACTS_OF_A_TREE))  # noqa: S311
        residuals = table.targets - predicted
        everything = np.arange(len(side.rows))
        mean = _mean(table, residuals, everything)
        tree = _grow(table, residuals, everything, places, depth=0, mean=mean, adds={})
        base += _slow(mean)
        predicted += _slow(mean) + np.array([sum(_walk(tree, row.facts).values()) for row in side.rows], dtype=np.int64)
        trees.append(tree)
    calm = sorted(value for value, fraud in zip(predicted.tolist(), side.is_fraud, strict=True) if not fraud)
    middle = pick_quantile(calm, 500)
    spread = lowest_threshold(calm, at_most_per_10k=CALM_ALERTS_PER_10K) - middle
    if spread <= 1:
        raise NothingToLearn("no fact tells the frauds from the rest")
    return {
        "format": "tellergate-trees/1",
        "name": name,
        "version": version,
        "base_milli": CALM_POINTS * MILLI + _scale(base - middle, spread),
        "facts": [
            {"fact": fact, "reason": reason, "stand_in": stand_in, "missing_milli": _MISSING_MILLI}
            for (fact, reason), stand_in in zip(PAYMENT_FACTS, _stand_ins(side), strict=True)
        ],
        "trees": [_render(tree, spread) for tree in trees],
    }


def _tabulate(side: Side) -> _Table:
    facts = np.array([row.facts for row in side.rows], dtype=np.int64)
    is_fraud = np.array(side.is_fraud, dtype=np.int64)
    # Both kinds weigh the same in sum: else a model that never sees a fraud would be nearly right.
    fraud_weight = max(1, (len(side.rows) - side.frauds) // side.frauds)
    cuts = tuple(_cut(sorted(facts[:, place].tolist())) for place in range(facts.shape[1]))
    bins = np.stack([np.searchsorted(np.array(held, dtype=np.int64), facts[:, place]) for place, held in enumerate(cuts)], axis=1)
    return _Table(facts, cuts, bins.astype(np.int64), 1 + is_fraud * (fraud_weight - 1), is_fraud * _ONE)


def _cut(ranked: Sequence[int]) -> tuple[int, ...]:
    """Choose where a fact may be split: at its quantiles, and above the bulk more finely."""
    permilles = (*range(0, 900, 100), *range(900, 1_000, 10))
    return tuple(sorted({pick_quantile(ranked, permille) for permille in permilles} - {ranked[-1]})[-_MAX_CUTS:])


def _grow(
    table: _Table,
    residuals: _Integers,
    rows: npt.NDArray[Any],
    places: Sequence[int],
    *,
    depth: int,
    mean: int,
    adds: dict[int, int],
) -> _Branch | _End:
    best = _find_split(table, residuals, rows, places) if depth < DEPTH else None
    if best is None:
        return _End(adds)
    is_low = table.bins[rows, best.place] <= best.cut
    sides: list[_Branch | _End] = []
    for part in (rows[is_low], rows[~is_low]):
        part_mean = _mean(table, residuals, part)
        more = adds | {best.place: adds.get(best.place, 0) + _slow(part_mean) - _slow(mean)}
        sides.append(_grow(table, residuals, part, places, depth=depth + 1, mean=part_mean, adds=more))
    return _Branch(best.place, table.cuts[best.place][best.cut], *sides)


def _find_split(table: _Table, residuals: _Integers, rows: npt.NDArray[Any], places: Sequence[int]) -> _Best | None:
    """Return the split that explains most of the squared residuals; of equal ones the first fact's lowest, or None."""
    weights = table.weights[rows]
    pulls = weights * residuals[rows]
    whole, pull = int(weights.sum()), int(pulls.sum())
    best: _Best | None = None
    for place in places:
        count = len(table.cuts[place]) + 1
        held = table.bins[rows, place]
        sums = [np.zeros(count, dtype=np.int64) for _ in range(3)]
        for total, value in zip(sums, (weights, pulls, np.ones(len(rows), dtype=np.int64)), strict=True):
            np.add.at(total, held, value)
        lows = zip(*(np.cumsum(total).tolist() for total in sums), strict=True)
        for cut, (low_weight, low_pull, low_rows) in enumerate(list(lows)[:-1]):
            if min(low_rows, len(rows) - low_rows) < _MIN_ROWS:
                continue
            gain = _explained(low_pull, low_weight) + _explained(pull - low_pull, whole - low_weight) - _explained(pull, whole)
            if gain > 0 and (best is None or gain > best.gain):
                best = _Best(gain, place, cut)
    return best


def _explained(pull: int, weight: int) -> int:
    return pull * pull // (weight + _PRIOR_WEIGHT)


def _mean(table: _Table, residuals: _Integers, rows: npt.NDArray[Any]) -> int:
    weights = table.weights[rows]
    return divide_nearest(int((weights * residuals[rows]).sum()), int(weights.sum()) + _PRIOR_WEIGHT)


def _slow(value: int) -> int:
    return divide_nearest(value * _RATE_NUMERATOR, _RATE_DENOMINATOR)


def _walk(tree: _Branch | _End, facts: Sequence[int]) -> dict[int, int]:
    while isinstance(tree, _Branch):
        tree = tree.low if facts[tree.place] <= tree.up_to else tree.high
    return tree.adds


def _scale(value: int, spread: int) -> int:
    return divide_nearest(value * (BAND_POINTS - CALM_POINTS) * MILLI, spread)


def _render(tree: _Branch | _End, spread: int) -> dict[str, Any]:
    if isinstance(tree, _End):
        return {"adds_milli": {str(place): _scale(added, spread) for place, added in sorted(tree.adds.items())}}
    return {
        "fact": tree.place,
        "up_to": tree.up_to,
        "low": _render(tree.low, spread),
        "high": _render(tree.high, spread),
    }


def _stand_ins(side: Side) -> list[int]:
    """Return the usual value of each fact among the calm rows."""
    calm = [row.facts for row, fraud in zip(side.rows, side.is_fraud, strict=True) if not fraud]
    return [pick_quantile(sorted(facts[place] for facts in calm), 500) for place in range(len(PAYMENT_FACTS))]
