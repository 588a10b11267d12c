"""From readings to figures: what is compared with what, and what is said when something was left out."""

from __future__ import annotations

import json

import pytest

from bench.ledger import CONTENDERS, main
from bench.peer.run import Reading, Run
from bench.posting.figures import RATIOS, compare, size_figure, summarize
from bench.report import Figure, print_report

NAMES = (
    "single_random_vs_tpcb", "single_random_vs_pgledger", "single_hot_vs_tpcb", "single_hot_vs_pgledger", "callers64_vs_tpcb",
    "callers64_vs_pgledger", "callers1024_vs_tpcb", "callers1024_vs_pgledger", "bulk8000_vs_tpcb", "bulk8000_vs_pgledger",
    "bulk8000_hot_vs_pgledger", "bulk8000_vs_pgledger_batch", "bulk_1pct_reject_vs_none", "cpu_single_vs_pgledger",
    "cpu_bulk_vs_pgledger", "callers64_p99_ms",
)  # fmt: skip


def reading(per_s: float, cpu_us: float = 1.0, p99_ms: float | None = None) -> Reading:
    return Reading(Run(1_000, per_s, cpu_us, 1.0, p99_ms, p99_ms), load=1.0, fdatasync_us=40.0)


def value_of(figures: list[Figure], name: str) -> Figure:
    return next(figure for figure in figures if figure.name == name)


def test_the_names_stay() -> None:
    assert tuple(figure.name for figure in compare({})) == NAMES


def test_every_ratio_compares_contenders_that_there_are() -> None:
    assert {name for ratio in RATIOS for name in (ratio.own, ratio.base)} == set(CONTENDERS)


def test_ratios_are_paired_by_round() -> None:
    # The medians of the rates would say 200 / 100; each round by itself says 1.
    readings = {"single_random": [reading(100), reading(200), reading(300)], "tpcb": [reading(100), reading(200), reading(60)]}
    assert value_of(compare(readings), "single_random_vs_tpcb").value == 1.0


def test_cpu_is_compared_by_cpu_and_less_is_better() -> None:
    readings = {"single_random": [reading(900, cpu_us=30)], "pgledger_random": [reading(100, cpu_us=120)]}
    figure = value_of(compare(readings), "cpu_single_vs_pgledger")
    assert (figure.value, figure.must, figure.better) == (0.25, 0.45, "less")
    assert value_of(compare(readings), "single_random_vs_pgledger").better == "more"


def test_what_was_left_out_says_why() -> None:
    figure = value_of(compare({"single_hot": [reading(1)], "tpcb": [reading(1)]}), "single_hot_vs_pgledger")
    assert figure.value is None
    assert figure.reason == "pgledger_hot was left out: it needs --pgledger FILE"


def test_rounds_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        compare({"single_random": [reading(1), reading(1)], "tpcb": [reading(1)]})


def test_waiting_is_the_median_of_the_rounds() -> None:
    readings = {"callers64": [reading(1, p99_ms=5.0), reading(1, p99_ms=90.0), reading(1, p99_ms=7.0)]}
    assert value_of(compare(readings), "callers64_p99_ms").value == 7.0


def test_size_of_an_empty_ledger() -> None:
    assert size_figure(8_192, 0).value == 8_192
    assert size_figure(3_000, 10).value == 300


def test_the_summary_has_the_extremes() -> None:
    (row,) = summarize({"tpcb": [reading(10), reading(30), reading(20)]})
    assert (row["median_per_s"], row["min_per_s"], row["max_per_s"]) == (20, 10, 30)
    assert "p99_ms" not in row


def test_a_figure_that_was_not_measured_is_null_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    print_report("ledger", [Figure("a", None, "x", must=2, better="more", reason="left out"), Figure("b", 3, "x")], as_json=True)
    body = json.loads(capsys.readouterr().out)
    assert body["figures"] == [
        {"name": "a", "value": None, "unit": "x", "must": 2, "better": "more", "reason": "left out"},
        {"name": "b", "value": 3, "unit": "x", "better": "less"},
    ]


def test_figures_for_people_name_the_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    figures = [Figure("a", 3, "x", must=2, goal=4, better="more"), Figure("b", None, "ms", reason="left out")]
    print_report("ledger", figures, as_json=False)
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("3 x  (must: at least 2, goal: at least 4)")
    assert second.endswith("- ms  (left out)")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rounds", "0"], "from 1"),
        (["--seconds", "31"], "--seconds 1 to 30"),
        (["--calls", "0"], "--calls 1 to 100"),
        (["--only", "tpcb,nothing"], "nothing is none of"),
        (["--only", "pgledger_hot"], "needs --pgledger"),
        (["--pgledger", "no/such.sql"], "no file"),
    ],
)
def test_options_out_of_range_are_refused_before_anything_starts(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert said in capsys.readouterr().err
