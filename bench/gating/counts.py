"""Counts that must be zero, from the tests that own them, at their full numbers; each as it is asked for, with progress."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.gating.pure import STARTER_DIR
from bench.report import Figure
from gates.policy.bundle import load_bundle_directory
from gates.score.scorecard import load_scorecard

Say = Callable[[str], None]
_SEED = 20_261_122


@dataclass(frozen=True, slots=True)
class Count:
    """Name a count: how many are tried, where its function is, and how to call it with a seed and a number of tries.

    `names` are the figures that it gives, one for each number that `call` returns.
    """

    names: tuple[str, ...]
    full: int
    module: str
    function: str
    at_a_time: int
    call: Callable[[Any, int, int], tuple[int, ...]]


def _count_oracle(function: Any, seed: int, count: int) -> tuple[int, ...]:
    differences, _ = function(load_bundle_directory(STARTER_DIR), seed=seed, count=count)
    return (int(differences),)


def _count_malformed(function: Any, seed: int, count: int) -> tuple[int, ...]:
    return (_total(function(load_bundle_directory(STARTER_DIR), load_scorecard(), seed=seed, count=count)),)


def _count_mutations(function: Any, seed: int, count: int) -> tuple[int, ...]:
    return (_total(function(seed, count)),)


def _count_interleavings(function: Any, seed: int, count: int) -> tuple[int, ...]:
    found = function(count, seed=seed, say=tell)
    return int(found["stale"]), int(found["double"]), int(found["lost"])


def _count_attacks(function: Any, seed: int, count: int) -> tuple[int, ...]:
    return (_total(function(count, seed=seed, say=tell)),)


COUNTS = (
    Count(("oracle_differences",), 100_000, "tests.property.gates.test_decide_against_oracle", "count_oracle_differences", 5_000,
          _count_oracle),
    Count(("malformed_allows",), 10_000, "tests.property.gates.malformed", "count_malformed_allows", 2_000, _count_malformed),
    Count(("undetected_mutations",), 10_000, "tests.property.receipts.mutations", "count_undetected", 1_000, _count_mutations),
    Count(("stale_executions", "double_executions", "lost_executions"), 10_000, "bench.gating.interleavings",
          "count_interleavings", 10_000, _count_interleavings),
    Count(("attacker_postings",), 10_000, "bench.gating.attacker", "count_postings_by_attacker", 10_000, _count_attacks),
)  # fmt: skip


def measure_counts(at_most: int | None, *, say: Say) -> list[Figure]:
    """Run every count, each at its full number or at `at_most`; one whose function is not there is left out with its reason."""
    return [figure for count in COUNTS for figure in measure_count(count, at_most, say=say)]


def measure_count(count: Count, at_most: int | None, *, say: Say) -> Iterator[Figure]:
    """Run one count in parts, each with a seed of its own, and give its figures."""
    wanted = count.full if at_most is None else min(at_most, count.full)
    function = find_function(count.module, count.function)
    if function is None:
        reason = f"there is no {count.module}.{count.function}"
        yield from (Figure(name, None, "", must=0, reason=reason) for name in count.names)
        return
    totals = [0] * len(count.names)
    for part, first in enumerate(range(0, wanted, count.at_a_time)):
        size = min(count.at_a_time, wanted - first)
        found = count.call(function, _SEED + part, size)
        totals = [total + more for total, more in zip(totals, found, strict=True)]
        say(f"{count.names[0]}: {first + size:,} of {wanted:,}, {sum(totals)} found")
    yield from (Figure(name, total, f"of {wanted}", must=0) for name, total in zip(count.names, totals, strict=True))


def find_function(module: str, name: str) -> Callable[..., Any] | None:
    """Return a function by name, or None where there is no such module or function. A module that breaks at import raises."""
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            return None
        raise
    return found if callable(found) else None


def tell(line: str) -> None:
    """Write a line of progress."""
    print(line, file=sys.stderr, flush=True)


def _total(found: Any) -> int:
    return sum(found.values()) if isinstance(found, dict) else int(found)
