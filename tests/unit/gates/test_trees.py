"""The generated code scores as the table says, is bounded and explained, and no code but its own is ever run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.score.model import UnknownModel, load_model, score_facts
from gates.score.scorecard import DEFAULT_SCORECARD, load_scorecard
from gates.score.trees import InvalidTrees, TreeModel, TreeTable, build_model, generate_code, load_trees, score_with_trees

TABLE: dict[str, Any] = {
    "format": "tellergate-trees/1",
    "name": "payment-trees",
    "version": "1",
    "base_milli": 40_000,
    "facts": [
        {"fact": "beneficiary.age_hours", "reason": "new_beneficiary", "stand_in": 5_000, "missing_milli": 150_000},
        {"fact": "customer.failed_logins_7d_count", "reason": "failed_logins", "stand_in": 0, "missing_milli": 90_000},
    ],
    "trees": [
        {
            "fact": 0,
            "up_to": 2,
            "low": {
                "fact": 1,
                "up_to": 1,
                "low": {"adds_milli": {"0": 200_400}},
                "high": {"adds_milli": {"0": 200_400, "1": 300_300}},
            },
            "high": {"adds_milli": {"0": -20_000}},
        },
        {"fact": 1, "up_to": 4, "low": {"adds_milli": {}}, "high": {"adds_milli": {"1": 400_000}}},
    ],
}
AGE, FAILED = "beneficiary.age_hours", "customer.failed_logins_7d_count"


def _model(table: Mapping[str, Any] = TABLE) -> TreeModel:
    return build_model(TreeTable.model_validate_json(json.dumps(table)))


def _slow_total(facts: Mapping[str, int]) -> int:
    total = int(TABLE["base_milli"])
    for tree in TABLE["trees"]:
        node = tree
        while "fact" in node:
            node = node["low"] if facts[TABLE["facts"][node["fact"]]["fact"]] <= node["up_to"] else node["high"]
        total += sum(node["adds_milli"].values())
    return min(max(total // 1_000, 0), 1_000)


@pytest.mark.parametrize(
    ("age", "failed", "score", "reasons"),
    [
        (3, 0, 20, ()),
        (2, 1, 240, ("new_beneficiary",)),
        (2, 2, 540, ("failed_logins", "new_beneficiary")),
        (2, 5, 940, ("failed_logins", "new_beneficiary")),
        (3, 5, 420, ("failed_logins",)),
    ],
)
def test_bounds_include_their_value(age: int, failed: int, score: int, reasons: tuple[str, ...]) -> None:
    result = score_with_trees({AGE: age, FAILED: failed}, _model())
    assert (result.score, result.reason_codes) == (score, reasons)


@given(age=st.integers(-(10**15), 10**15), failed=st.integers(-3, 12))
def test_code_and_table_agree(age: int, failed: int) -> None:
    facts = {AGE: age, FAILED: failed}
    assert score_facts(facts, _model()).score == _slow_total(facts)


@pytest.mark.parametrize("odd", [None, "3", True, 2.0, [1]])
def test_what_is_no_integer_costs_what_a_missing_fact_costs(odd: Any) -> None:
    missing = score_with_trees({FAILED: 0}, _model())
    assert (missing.score, missing.reason_codes) == (40 - 20 + 150, ("new_beneficiary",))
    assert score_with_trees({AGE: odd, FAILED: 0}, _model()) == missing


def test_ref_names_the_content_and_score_stays_in_bounds() -> None:
    assert _model().ref.startswith("trees:payment-trees@1:")
    assert _model().ref == _model(dict(reversed(TABLE.items()))).ref
    assert _model(TABLE | {"base_milli": 40_001}).ref != _model().ref
    assert score_with_trees({AGE: 0, FAILED: 9}, _model(TABLE | {"base_milli": 1_000_000})).score == 1_000
    assert score_with_trees({AGE: 9, FAILED: 0}, _model(TABLE | {"base_milli": -1_000_000})).score == 0


_LEAF: dict[str, Any] = {"adds_milli": {}}


def _nest(depth: int) -> dict[str, Any]:
    return {"fact": 0, "up_to": 1, "low": _nest(depth - 1), "high": _LEAF} if depth else _LEAF


@pytest.mark.parametrize(
    "change",
    [
        {"base_milli": 1.5},
        {"format": "other"},
        {"more": 1},
        {"trees": []},
        {"trees": [{"fact": 2, "up_to": 1, "low": _LEAF, "high": _LEAF}]},
        {"trees": [{"fact": 0, "up_to": 1.0, "low": _LEAF, "high": _LEAF}]},
        {"trees": [{"fact": 0, "up_to": "1", "low": _LEAF, "high": _LEAF}]},
        {"trees": [{"fact": 0, "up_to": 2**53, "low": _LEAF, "high": _LEAF}]},
        {"trees": [{"adds_milli": {"2": 1}}]},
        {"trees": [{"adds_milli": {"0 + __import__('os')": 1}}]},
        {"trees": [{"adds_milli": {"²": 1}}]},
        {"trees": [{"adds_milli": {"00": 1}}]},
        {"trees": [{"adds_milli": {"0": 2_000_000}}]},
        {"trees": [_nest(5)]},
        {"facts": [TABLE["facts"][0]] * 2},
        {"facts": [TABLE["facts"][0] | {"missing_milli": -1}, TABLE["facts"][1]]},
        {"facts": [TABLE["facts"][0] | {"fact": 'x.y"""; import os'}, TABLE["facts"][1]]},
        {"name": "a\n import os"},
    ],
)
def test_a_wrong_table_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path.joinpath("trees.json")
    path.write_text(json.dumps(TABLE | change))
    with pytest.raises((InvalidTrees, UnknownModel)):
        load_model(path)


def test_code_beside_a_table_must_be_its_own(tmp_path: Path) -> None:
    path, code = tmp_path.joinpath("trees.json"), tmp_path.joinpath("trees.py")
    path.write_text(json.dumps(TABLE))
    code.write_text(generate_code(TreeTable.model_validate_json(json.dumps(TABLE))))
    assert load_trees(path).ref == _model().ref
    marker = tmp_path.joinpath("was-run")
    code.write_text(code.read_text() + f"open({str(marker)!r}, 'w')\n")
    with pytest.raises(InvalidTrees, match="not the code"):
        load_trees(path)
    assert not marker.exists()


def test_one_port_for_every_kind(tmp_path: Path) -> None:
    assert load_model(DEFAULT_SCORECARD) == load_scorecard()
    path = tmp_path.joinpath("trees.json")
    path.write_text(json.dumps(TABLE))
    model = load_model(path)
    assert isinstance(model, TreeModel)
    assert score_facts({AGE: 2, FAILED: 2}, model).model_ref == model.ref
    for text in ("{", "[]", '{"format":"x"}', "\ud800".encode("utf-8", "surrogatepass")):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(UnknownModel):
            load_model(path)
    with pytest.raises(UnknownModel):
        load_model(tmp_path.joinpath("none.json"))
