"""How well a score tells frauds from the rest: integers, on the rows as they are and as if one in a thousand were a fraud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

PREVALENCE_PER_MILLE = 1
"""One payment in a thousand is a fraud: nearer to life than a demo, and it is precision that suffers."""


def measure(scores: Sequence[int], is_fraud: Sequence[bool], *, operating_point: int) -> dict[str, int]:
    """Measure a score where it alerts from `operating_point` on. Rates in thousandths or in ten thousandths, rounded down."""
    frauds = sum(is_fraud)
    calm = len(is_fraud) - frauds
    caught = sum(fraud and score >= operating_point for score, fraud in zip(scores, is_fraud, strict=True))
    wrong = sum(not fraud and score >= operating_point for score, fraud in zip(scores, is_fraud, strict=True))
    # Weighted so that the frauds weigh as one in a thousand: each share of its own kind counts.
    caught_weight = PREVALENCE_PER_MILLE * caught * calm
    wrong_weight = (1_000 - PREVALENCE_PER_MILLE) * wrong * frauds
    return {
        "rows": len(is_fraud),
        "frauds": frauds,
        "auc_permille": find_auc_permille(scores, is_fraud),
        "operating_point": operating_point,
        "caught": caught,
        "wrong": wrong,
        "precision_permille": _share(caught, caught + wrong, 1_000),
        "recall_permille": _share(caught, frauds, 1_000),
        "false_positives_per_10k": _share(wrong, calm, 10_000),
        "alerts_per_10k": _share(caught + wrong, len(is_fraud), 10_000),
        "precision_permille_at_1_in_1000": _share(caught_weight, caught_weight + wrong_weight, 1_000),
        "alerts_per_10k_at_1_in_1000": _share(caught_weight + wrong_weight, 1_000 * frauds * calm, 10_000),
    }


def find_auc_permille(scores: Sequence[int], is_fraud: Sequence[bool]) -> int:
    """Return how often, in thousandths, a fraud scores above a calm row; equal scores count half. 500 where a kind is missing."""
    frauds = Counter(score for score, fraud in zip(scores, is_fraud, strict=True) if fraud)
    calm = Counter(score for score, fraud in zip(scores, is_fraud, strict=True) if not fraud)
    pairs = frauds.total() * calm.total()
    if not pairs:
        return 500
    doubled, below = 0, 0
    for score in sorted(frauds.keys() | calm.keys()):
        doubled += frauds[score] * (2 * below + calm[score])
        below += calm[score]
    return doubled * 1_000 // (2 * pairs)


def _share(part: int, whole: int, of: int) -> int:
    return part * of // whole if whole else 0
