"""The gate's bench: what it measures stands, what is missing says why, and what must never happen makes it fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bench.gating.counts
from bench.gate import PARTS, list_broken, list_path_figures, main
from bench.gating.busy import NICENESS
from bench.gating.counts import COUNTS, Count, find_function, measure_count, tell
from bench.gating.load import Timings
from bench.gating.pure import measure_pure
from bench.report import Figure
from serving.vllm.server import chat_server_command

COUNTED = (
    "oracle_differences", "malformed_allows", "undetected_mutations", "stale_executions", "double_executions", "lost_executions",
    "attacker_postings",
)  # fmt: skip


def timings(*decided_ms: int, rate_per_s: int = 200, posted_ms: tuple[int, ...] = ()) -> Timings:
    made = Timings(rate_per_s, took_s=1.0)
    made.decided_us += [one * 1000 for one in decided_ms]
    made.posted_us += [one * 1000 for one in posted_ms]
    return made


def fake(found: int, *, module: str = "domain.clock", function: str = "require_utc", sizes: list[int] | None = None) -> Count:
    def call(_: Any, seed: int, count: int) -> tuple[int, ...]:
        assert seed > 0
        if sizes is not None:
            sizes.append(count)
        return (found,)

    return Count(("never_events",), 1_000, module, function, 300, call)


def values_of(figures: Iterator[Figure] | list[Figure]) -> dict[str, Any]:
    return {figure.name: figure.value for figure in figures}


def test_the_pure_figures_are_measured() -> None:
    figures = measure_pure(2)
    assert [figure.name for figure in figures] == [
        "score_us_p50", "policy_cpu_us_p50", "policy_cpu_us_p99", "decide_pure_us_p50", "leaf_us", "leaf_record_us",
        "checkpoint_us",
    ]  # fmt: skip
    assert all(figure.value and figure.value > 0 for figure in figures)
    found = values_of(figures)
    assert found["policy_cpu_us_p50"] < found["decide_pure_us_p50"]


def test_the_counts_and_their_full_numbers_stay() -> None:
    assert tuple(name for count in COUNTS for name in count.names) == COUNTED
    assert [count.full for count in COUNTS] == [100_000, 10_000, 10_000, 10_000, 10_000]


def test_the_tests_that_own_the_counts_have_them() -> None:
    missing = [f"{count.module}.{count.function}" for count in COUNTS if find_function(count.module, count.function) is None]
    assert missing == []


@pytest.mark.parametrize("count", COUNTS[:3], ids=lambda count: count.names[0])
def test_a_small_count_finds_nothing(count: Count) -> None:
    (figure,) = measure_count(count, 60, say=tell)
    assert (figure.value, figure.must, figure.unit) == (0, 0, "of 60")


def test_a_count_goes_in_parts_up_to_its_full_number() -> None:
    sizes: list[int] = []
    (figure,) = measure_count(fake(1, sizes=sizes), None, say=tell)
    assert sizes == [300, 300, 300, 100]
    assert (figure.value, figure.unit) == (4, "of 1000")
    sizes.clear()
    assert values_of(measure_count(fake(0, sizes=sizes), 5_000, say=tell)) == {"never_events": 0}
    assert sum(sizes) == 1_000


@pytest.mark.parametrize(("module", "function"), [("tests.no_such.module", "count"), ("domain.clock", "no_such_function")])
def test_a_count_that_is_not_there_says_so(module: str, function: str) -> None:
    (figure,) = measure_count(fake(0, module=module, function=function), None, say=tell)
    assert figure.value is None
    assert figure.reason == f"there is no {module}.{function}"


def test_a_count_that_breaks_at_import_is_no_missing_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_count_module.py").write_text("import no_such_package_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_package_at_all"):
        find_function("broken_count_module", "count")


@pytest.mark.parametrize(("found", "status"), [(0, 0), (1, 1)])
def test_what_must_never_happen_makes_the_bench_fail(
    found: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench.gating.counts, "COUNTS", (fake(found),))
    assert main(["--only", "counts", "--count", "10", "--json"]) == status
    printed = capsys.readouterr()
    assert values_of([Figure(one["name"], one["value"], "") for one in json.loads(printed.out)["figures"]]) == {
        "never_events": found
    }
    assert ("never_events is 1, it must be 0" in printed.err) == bool(found)


def test_slowness_is_no_breach() -> None:
    assert list_broken([Figure("a", 9_999, "ms", must=20), Figure("b", None, "", must=0), Figure("c", 0, "", must=0)]) == []


def test_the_paths_figures_say_at_which_rate_and_beside_what() -> None:
    busy_with = "two stand-ins"
    figures = list_path_figures(timings(10, 20), timings(30), timings(5, rate_per_s=50, posted_ms=(40, 60)), busy_with=busy_with)
    found = values_of(figures)
    assert (found["decide_p99_ms_at_200"], found["decide_p99_ms_busy"], found["decide_p99_busy_vs_idle"]) == (20, 30, 1.5)
    assert found["proposal_to_posting_p95_ms"] == 60
    units = {figure.name: figure.unit for figure in figures}
    assert units["proposal_to_posting_p95_ms"] == "ms at 50/s"
    assert busy_with in units["decide_p99_busy_vs_idle"]


def test_a_load_in_which_nothing_was_decided_gives_no_figure() -> None:
    figures = list_path_figures(timings(), timings(), timings(), busy_with="nothing")
    assert values_of(figures)["decide_p99_busy_vs_idle"] is None
    assert all(figure.reason is None for figure in figures if figure.value is not None)
    assert next(figure for figure in figures if figure.name == "decide_p99_ms_at_200").reason == "nothing was decided"


def test_the_stand_ins_are_as_nice_as_the_model_servers(tmp_path: Path) -> None:
    uds = Path("/run/chat.sock")
    argv = chat_server_command(environment=tmp_path, model=tmp_path, cache=tmp_path, uds=uds, api_key="k").argv
    assert argv[argv.index("-n") + 1] == str(NICENESS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "pure,nothing"], "nothing is none of"),
        (["--count", "0"], "--count from 1"),
        (["--seconds", "0"], "--seconds 1 to"),
        (["--rate", "0"], "from 1"),
        (["--replay", "3"], "--replay from 4"),
    ],
)
def test_options_out_of_range_are_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert said in capsys.readouterr().err


def test_the_parts_stay() -> None:
    assert PARTS == ("pure", "counts", "path", "replay", "features")
