"""From readings to figures: ratios paired by round, then their median, because rates move with whatever else the machine does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.peer.run import Reading
from bench.report import Figure

Readings = Mapping[str, Sequence[Reading]]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Name a figure that compares two contenders, with what it should be at least (`more`) or at most."""

    name: str
    own: str
    base: str
    must: float | None = None
    goal: float | None = None
    of_cpu: bool = False


RATIOS: tuple[Ratio, ...] = (
    Ratio("single_random_vs_tpcb", "single_random", "tpcb", 1.0, 1.5),
    Ratio("single_random_vs_pgledger", "single_random", "pgledger_random", 2.2, 3.3),
    Ratio("single_hot_vs_tpcb", "single_hot", "tpcb", 1.0, 1.6),
    Ratio("single_hot_vs_pgledger", "single_hot", "pgledger_hot", 5.0, 9.0),
    Ratio("callers64_vs_tpcb", "callers64", "tpcb", 2.0, 3.5),
    Ratio("callers64_vs_pgledger", "callers64", "pgledger_random", 4.0, 7.0),
    Ratio("callers1024_vs_tpcb", "callers1024", "tpcb", 3.5, 7.0),
    Ratio("callers1024_vs_pgledger", "callers1024", "pgledger_random", 7.0, 14.0),
    Ratio("bulk8000_vs_tpcb", "bulk_random", "tpcb"),
    Ratio("bulk8000_vs_pgledger", "bulk_random", "pgledger_random", 10.0, 22.0),
    Ratio("bulk8000_hot_vs_pgledger", "bulk_hot", "pgledger_hot", 28.0, 60.0),
    Ratio("bulk8000_vs_pgledger_batch", "bulk_random", "pgledger_batch", 6.0, 12.0),
    Ratio("bulk_1pct_reject_vs_none", "bulk_reject", "bulk_random", 0.5, 0.8),
    Ratio("cpu_single_vs_pgledger", "single_random", "pgledger_random", 0.45, of_cpu=True),
    Ratio("cpu_bulk_vs_pgledger", "bulk_random", "pgledger_random", 0.06, of_cpu=True),
)
CALLERS64_P99_MUST_MS = 8.0
BYTES_MUST = 400


def compare(readings: Readings) -> list[Figure]:
    """Return every ratio, and how long callers waited."""
    return [*(_compare(readings, ratio) for ratio in RATIOS), _waited(readings)]


def size_figure(size_bytes: int, transfers: int) -> Figure:
    """Return the bytes of a transfer with its indexes."""
    return Figure("bytes_per_transfer", size_bytes // max(1, transfers), "bytes", must=BYTES_MUST)


def summarize(readings: Readings) -> list[dict[str, Any]]:
    """Return what was read of each contender: medians, the extremes of the rate, and how the machine was."""
    return [_summarize(name, rounds) for name, rounds in readings.items()]


def render_readings(readings: Readings) -> str:
    """Write the medians for people."""
    return "\n" + "".join(_render(row) for row in summarize(readings))


def _render(row: dict[str, Any]) -> str:
    waited = f"  p50 {row['p50_ms']} ms  p99 {row['p99_ms']} ms" if "p99_ms" in row else ""
    cpu = f"cpu {row['cpu_us']:>7.1f} us, client {row['client_cpu_us']:>5.1f} us"
    return f"{row['name']:<16} {row['median_per_s']:>9.0f}/s  {cpu}{waited}\n"


def _compare(readings: Readings, ratio: Ratio) -> Figure:
    unit, better = ("x cpu", "less") if ratio.of_cpu else ("x", "more")
    named: dict[str, Any] = {"unit": unit, "must": ratio.must, "goal": ratio.goal, "better": better}
    own, base = readings.get(ratio.own), readings.get(ratio.base)
    if not own or not base:
        return Figure(ratio.name, None, **named, reason=_why_missing(ratio.own if not own else ratio.base))
    read: Callable[[Reading], float] = (lambda one: one.run.cpu_us) if ratio.of_cpu else (lambda one: one.run.per_s)
    value = median(read(mine) / read(theirs) for mine, theirs in zip(own, base, strict=True))
    return Figure(ratio.name, round(value, 3), **named)


def _waited(readings: Readings) -> Figure:
    rounds = [one.run.p99_ms for one in readings.get("callers64", ()) if one.run.p99_ms is not None]
    if not rounds:
        return Figure("callers64_p99_ms", None, "ms", must=CALLERS64_P99_MUST_MS, reason=_why_missing("callers64"))
    return Figure("callers64_p99_ms", round(median(rounds), 2), "ms", must=CALLERS64_P99_MUST_MS)


def _why_missing(contender: str) -> str:
    return f"{contender} was left out" + (": it needs --pgledger FILE" if contender.startswith("pgledger") else "")


def _summarize(name: str, rounds: Sequence[Reading]) -> dict[str, Any]:
    rates = [one.run.per_s for one in rounds]
    summary: dict[str, Any] = {
        "name": name,
        "median_per_s": round(median(rates), 1),
        "min_per_s": round(min(rates), 1),
        "max_per_s": round(max(rates), 1),
        "cpu_us": round(median(one.run.cpu_us for one in rounds), 2),
        "client_cpu_us": round(median(one.run.client_cpu_us for one in rounds), 2),
        "load": round(median(one.load for one in rounds), 2),
        "fdatasync_us": round(median(one.fdatasync_us for one in rounds), 1),
    }
    for field in ("p50_ms", "p99_ms"):
        read = [value for one in rounds if (value := getattr(one.run, field)) is not None]
        summary |= {field: round(median(read), 2)} if read else {}
    return summary
