"""The one shape of a benchmark's answer."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """Hold one measured value. `goal` is what it should be at most, None where there is none."""

    name: str
    value: int
    unit: str
    goal: int | None = None


def percentile(values: Sequence[int], share_percent: int) -> int:
    """Return the nearest-rank percentile. Raises: ValueError for no values."""
    if not values:
        raise ValueError("no values")
    rank = -(-len(values) * share_percent // 100)
    return sorted(values)[max(0, rank - 1)]


def print_report(bench: str, figures: Sequence[Figure], *, as_json: bool) -> None:
    """Print the figures for a program or for people."""
    if as_json:
        body = {"bench": bench, "machine": describe_machine(), "peers": [], "figures": [asdict(figure) for figure in figures]}
        sys.stdout.write(json.dumps(body, indent=2) + "\n")
        return
    for figure in figures:
        goal = "" if figure.goal is None else f"  (goal: at most {figure.goal})"
        sys.stdout.write(f"{figure.name:<32} {figure.value:>8} {figure.unit}{goal}\n")


def describe_machine() -> dict[str, str | int]:
    """Return cores, memory and load, so that a reader knows how quiet it was."""
    memory = next(line for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines() if line.startswith("MemTotal"))
    return {"cores": os.cpu_count() or 0, "memory_mb": int(memory.split()[1]) // 1024, "load": round(os.getloadavg()[0])}
