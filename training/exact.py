"""Integer arithmetic where statistics usually take floats: logarithms, quantiles, ranks. Exact on every machine."""

from __future__ import annotations

from collections.abc import Sequence

_FRACTION_BITS = 24


def log2_milli(numerator: int, denominator: int) -> int:
    """Return the binary logarithm of a positive fraction in thousandths, rounded down."""
    if numerator <= 0 or denominator <= 0:
        raise ValueError("a logarithm needs a positive fraction")
    exponent = numerator.bit_length() - denominator.bit_length()
    shift = _FRACTION_BITS * 2 - exponent
    mantissa = (numerator << shift) // denominator if shift >= 0 else numerator // (denominator << -shift)
    one = 1 << (_FRACTION_BITS * 2)
    if mantissa < one:
        mantissa, exponent = mantissa * 2, exponent - 1
    fraction = 0
    for _ in range(_FRACTION_BITS):
        mantissa = mantissa * mantissa >> (_FRACTION_BITS * 2)
        fraction *= 2
        if mantissa >= 2 * one:
            mantissa >>= 1
            fraction += 1
    return exponent * 1_000 + (fraction * 1_000 >> _FRACTION_BITS)


def divide_nearest(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest integer, halves away from zero. The denominator is positive."""
    half = denominator // 2
    return (numerator + half) // denominator if numerator >= 0 else -((-numerator + half) // denominator)


def pick_quantile(ranked: Sequence[int], permille: int) -> int:
    """Return the value at so many thousandths of a sorted sequence: always one of its values."""
    return ranked[min(len(ranked) - 1, len(ranked) * permille // 1_000)]


def lowest_threshold(scores: Sequence[int], *, at_most_per_10k: int) -> int:
    """Return the lowest threshold that at most so many of ten thousand scores reach."""
    ranked = sorted(scores, reverse=True)
    allowed = len(ranked) * at_most_per_10k // 10_000
    return ranked[allowed] + 1 if allowed < len(ranked) else ranked[-1]
