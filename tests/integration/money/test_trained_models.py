"""From training to a decision: what was written comes in with its lineage, two people agree, and the gate works with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.generator import DEFAULT_SEED
from gates.explanation import explain_decision
from gates.replay.reading import Window, iter_decisions, load_bundles, load_models
from gates.replay.replay import replay_decisions
from tests.integration.gates.desk import KIM, LEE, token_of
from tests.integration.gates.desk_records import ACCOUNT
from tests.integration.money.conftest import Process
from training.artifact import write_candidate
from training.baselines import make_baseline_candidates
from training.records import make_demo_records
from training.score import DEFAULT_AS_OF, make_candidates


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of one training run on the demo tenant, by the format of their content."""
    records, folder = make_demo_records(seed=DEFAULT_SEED, as_of=DEFAULT_AS_OF), tmp_path_factory.mktemp("trained")
    made = (*make_candidates(records, seed=3, as_of=DEFAULT_AS_OF), *make_baseline_candidates(records, as_of=DEFAULT_AS_OF))
    return {f"{one.content['format']} {one.name}": write_candidate(folder, one) for one in made}


def _bring_in(process: Process, path: Path) -> dict[str, Any]:
    tokens = [token_of(one, process.desk.tenant.tenant_id) for one in (KIM, LEE)]
    lineage = json.loads(path.with_suffix(".lineage.json").read_text())
    content = json.loads(path.read_text())
    made: dict[str, Any] = process.post("/v1/registry/models", session_token=tokens[0], content=content, lineage=lineage).json()
    assert (made["state"], made["sha256"]) == ("candidate", lineage["sha256"])
    route = f"/v1/registry/{made['kind']}/{made['name']}/{made['sha256']}/activate"
    change = process.post(route, session_token=tokens[0], target="champion", reason="trained on what was known").json()
    done = process.post(f"/v1/policy-changes/{change['change_id']}/approve", session_token=tokens[1]).json()
    assert done["state"] == "done"
    return made


def test_what_was_trained_scores_flags_explains_and_replays(process: Process, trained: dict[str, Path]) -> None:
    trees = _bring_in(process, trained["tellergate-trees/1 payment"])
    for name in ("customer-baselines", "merchant-baselines"):
        _bring_in(process, trained[f"tellergate-baselines/1 {name}"])
    desk = process.desk
    turn = desk.add_turn(grants={"A1": ACCOUNT, "B1": desk.add_beneficiary()})
    arguments = {"account": "A1", "beneficiary": "B1", "amount_minor": 900_000, "currency": "EUR", "reason_code": "bill"}
    proposal_id = desk.propose(turn, kind="payment", arguments=arguments)
    decided = process.post(f"/v1/proposals/{proposal_id}/decide").json()["decision"]
    assert decided["score"]["model_ref"] == f"trees:payment@{trees['version'].split('@')[1].split('+')[0]}:{trees['sha256']}"
    assert decided["facts"]["baseline.customer_flags_count"] >= 1
    assert "above_usual_amount" in decided["facts"]["baseline.reasons"]
    assert "breaks_from_usual" in [reason["code"] for reason in decided["reasons"]]

    gate = desk.role("gate")
    with gate.transaction():
        told = explain_decision(gate, decided["decision_id"], shelf=process.deps.rules.shelf)
        lineage = json.loads(trained["tellergate-trees/1 payment"].with_suffix(".lineage.json").read_text())
        assert told.prompt.training_data_sha256 == lineage["training_data_sha256"]
        bundles, broken = load_bundles(gate)
        report = replay_decisions(iter_decisions(gate, Window()), bundles, load_models(gate))
    assert (broken, report.is_identical, report.rescored) == ({}, True, 1)
