"""Nothing starts or decides with a policy or a scorecard that nobody approved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from psycopg import Connection

from gates.policy.active import NoUsablePolicy, PolicyShelf
from gates.score.scorecard import DEFAULT_SCORECARD, Scorecard, load_scorecard
from gates.submission import Rules
from serving.money.app import create_money_app
from storage.registry import UnapprovedArtifact
from tests.integration.gates.desk import KIM, LEE, token_of
from tests.integration.money.conftest import Process


def _generous_card(folder: Path) -> Scorecard:
    content = json.loads(DEFAULT_SCORECARD.read_text())
    path = folder / "refund.v1.json"
    path.write_text(json.dumps({**content, "base_points": content["base_points"] - 1}))
    return load_scorecard(path)


def _with_card(process: Process, card: Scorecard) -> Any:
    return replace(process.deps, rules=Rules(scorecard=card, shelf=PolicyShelf()))


def _start(deps: Any) -> None:
    with TestClient(create_money_app(deps)):
        pass


def test_the_approved_ones_start(process: Process) -> None:
    _start(process.deps)
    _start(process.deps)


def test_another_scorecard_refuses_to_start_and_to_decide(process: Process, tmp_path: Path) -> None:
    _start(process.deps)
    deps = _with_card(process, _generous_card(tmp_path))
    with pytest.raises(UnapprovedArtifact, match="score refund"):
        _start(deps)
    other = Process(process.desk, deps, process.clock, process.signer)
    desk = process.desk
    proposal_id = desk.propose(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)]))
    refused = other.post(f"/v1/proposals/{proposal_id}/decide")
    assert (refused.status_code, refused.json()["code"]) == (503, "no_usable_policy")
    assert desk.role("gate").execute("SELECT COUNT(*) FROM gate.decisions").fetchone() == (0,)
    assert process.post(f"/v1/proposals/{proposal_id}/decide").json()["decision"]["outcome"] == "allow"


def test_another_scorecard_starts_once_two_people_let_it_in(process: Process, tmp_path: Path) -> None:
    _start(process.deps)
    card = _generous_card(tmp_path)
    tokens = [token_of(one, process.desk.tenant.tenant_id) for one in (KIM, LEE)]
    made = process.post("/v1/scores", session_token=tokens[0], content=dict(card.content), lineage={"seed": 7}).json()
    path = f"/v1/scores/refund/{made['sha256']}/activate"
    assert process.post(path, session_token=tokens[0], reason="short").json()["code"] == "reason_needed"
    change = process.post(path, session_token=tokens[0], reason="fewer points for nothing").json()
    approve = f"/v1/policy-changes/{change['change_id']}/approve"
    assert process.post(approve, session_token=tokens[0]).json()["code"] == "own_change"
    with pytest.raises(UnapprovedArtifact):
        _start(_with_card(process, card))
    assert process.post(approve, session_token=tokens[1]).json()["state"] == "done"
    _start(_with_card(process, card))
    with pytest.raises(UnapprovedArtifact):
        _start(process.deps)
    back = process.post("/v1/scores/refund/rollback", session_token=tokens[1], reason="it was the wrong one")
    assert back.json()["from_version"] == made["version"]
    _start(process.deps)
    rows = process.get("/v1/scores/refund").json()["policies"]
    assert {row["sha256"]: row["state"] for row in rows}[made["sha256"]] == "retired"


def test_what_is_no_score_model_is_refused(process: Process) -> None:
    token = token_of(KIM, process.desk.tenant.tenant_id)
    for content, code in (
        ({}, "unknown_score_model"),
        ({"format": "tellergate-scorecard/1"}, "invalid_scorecard"),
        ({"format": "tellergate-trees/1"}, "invalid_trees"),
    ):
        refused = process.post("/v1/scores", session_token=token, content=content, lineage={})
        assert (refused.status_code, refused.json()["code"]) == (422, code)


def test_a_policy_that_was_tampered_with_refuses_to_start(process: Process, admin_conn: Connection[Any]) -> None:
    _start(process.deps)
    with admin_conn.transaction():
        admin_conn.execute("ALTER TABLE gate.policy_bundles DISABLE TRIGGER append_only")
        admin_conn.execute(
            "UPDATE gate.policy_bundles SET content = JSONB_SET(content, '{files,permits.cedar}', '\"\"') WHERE tenant_id = %s",
            [process.desk.tenant.tenant_id],
        )
        admin_conn.execute("ALTER TABLE gate.policy_bundles ENABLE ALWAYS TRIGGER append_only")
    with pytest.raises(NoUsablePolicy):
        _start(_with_card(process, process.deps.rules.scorecard))


def test_a_policy_that_came_into_force_past_the_people_refuses_to_start(process: Process, admin_conn: Connection[Any]) -> None:
    _start(process.deps)
    with admin_conn.transaction():
        for table in ("core.registry_moves", "core.registry_aliases"):
            admin_conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        admin_conn.execute(
            "UPDATE core.registry_moves SET approved_by = moved_by WHERE tenant_id = %s", [process.desk.tenant.tenant_id]
        )
        for table in ("core.registry_moves", "core.registry_aliases"):
            admin_conn.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        for table, trigger in (
            ("core.registry_moves", "append_only"),
            ("core.registry_moves", "moves_are_approved"),
            ("core.registry_aliases", "aliases_follow_moves"),
        ):
            admin_conn.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
    with pytest.raises(UnapprovedArtifact, match="policy gate"):
        _start(process.deps)
