"""The one shape of a benchmark's answer."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """Hold one measured value: None when it was not measured, and then `reason` says why.

    `goal` and `must` are what it should be at most or, where `better` is "more", at least; None where there is none.
    """

    name: str
    value: int | float | None
    unit: str
    goal: int | float | None = None
    must: int | float | None = None
    better: Literal["less", "more"] = "less"
    reason: str | None = None


def percentile(values: Sequence[int], share_percent: int) -> int:
    """Return the nearest-rank percentile. Raises: ValueError for no values."""
    if not values:
        raise ValueError("no values")
    rank = -(-len(values) * share_percent // 100)
    return sorted(values)[max(0, rank - 1)]


def print_report(bench: str, figures: Sequence[Figure], *, as_json: bool, peers: Sequence[object] = (), **more: object) -> None:
    """Print the figures for a program or for people. `more` goes into the program's answer only."""
    if as_json:
        named = [
            {key: value for key, value in asdict(figure).items() if value is not None or key == "value"} for figure in figures
        ]
        body = {"bench": bench, "machine": describe_machine(), "peers": list(peers), "figures": named, **more}
        sys.stdout.write(json.dumps(body, indent=2) + "\n")
        return
    for figure in figures:
        value = "-" if figure.value is None else str(figure.value)
        sys.stdout.write(f"{figure.name:<32} {value:>8} {figure.unit}{_bounds(figure)}\n")


def _bounds(figure: Figure) -> str:
    if figure.value is None:
        return f"  ({figure.reason or 'not measured'})"
    side = "at least" if figure.better == "more" else "at most"
    named = [f"{name}: {side} {bound}" for name, bound in (("must", figure.must), ("goal", figure.goal)) if bound is not None]
    return f"  ({', '.join(named)})" if named else ""


def describe_machine() -> dict[str, str | int]:
    """Return cores, memory and load, so that a reader knows how quiet it was."""
    memory = next(line for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines() if line.startswith("MemTotal"))
    return {"cores": os.cpu_count() or 0, "memory_mb": int(memory.split()[1]) // 1024, "load": round(os.getloadavg()[0])}
