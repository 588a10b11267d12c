"""Nothing starts or decides with a policy or a scorecard that nobody approved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from psycopg import Connection

from gates.policy.active import NoUsablePolicy
from gates.registry import NoUsableScore
from gates.score.model import ScoreModel
from gates.score.scorecard import DEFAULT_SCORECARD, Scorecard, load_scorecard
from gates.submission import Rules
from serving.money.app import create_money_app
from storage.registry import UnapprovedArtifact
from tests.integration.gates.desk import ADA, KIM, LEE, token_of
from tests.integration.money.conftest import Process


def _generous_card(folder: Path) -> Scorecard:
    content = json.loads(DEFAULT_SCORECARD.read_text())
    path = folder / "refund.v1.json"
    path.write_text(json.dumps({**content, "base_points": content["base_points"] - 1}))
    return load_scorecard(path)


def _with_card(process: Process, card: ScoreModel) -> Any:
    return replace(process.deps, rules=Rules(scorecard=card))


def _start(deps: Any) -> None:
    with TestClient(create_money_app(deps)):
        pass


def test_the_approved_ones_start(process: Process) -> None:
    _start(process.deps)
    _start(process.deps)


def test_another_scorecard_of_a_release_waits_and_the_one_in_force_goes_on(process: Process, tmp_path: Path) -> None:
    _start(process.deps)
    card = _generous_card(tmp_path)
    deps = _with_card(process, card)
    _start(deps)
    other = Process(process.desk, deps, process.clock, process.signer)
    desk = process.desk
    proposal_id = desk.propose(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)]))
    decided = other.post(f"/v1/proposals/{proposal_id}/decide").json()["decision"]
    assert (decided["outcome"], decided["score"]["model_ref"]) == ("allow", process.deps.rules.scorecard.ref)
    assert _states(process)[_hash_of(card)] == "candidate"


def test_another_scorecard_decides_once_two_people_let_it_in(process: Process, tmp_path: Path) -> None:
    _start(process.deps)
    card = _generous_card(tmp_path)
    tokens = [token_of(one, process.desk.tenant.tenant_id) for one in (KIM, LEE)]
    lineage = {"training_data_sha256": "ab" * 32}
    made = process.post("/v1/registry/models", session_token=tokens[0], content=dict(card.content), lineage=lineage).json()
    assert (made["kind"], made["name"], made["state"]) == ("score", "refund", "candidate")
    path = f"/v1/registry/score/refund/{made['sha256']}/activate"
    wanted = {"target": "champion", "session_token": tokens[0]}
    assert process.post(path, **wanted, reason="short").json()["code"] == "reason_needed"
    change = process.post(path, **wanted, reason="fewer points for nothing").json()
    approve = f"/v1/policy-changes/{change['change_id']}/approve"
    assert process.post(approve, session_token=tokens[0]).json()["code"] == "own_change"
    assert _decide(process)["score"]["model_ref"] == process.deps.rules.scorecard.ref
    assert process.post(approve, session_token=tokens[1]).json()["state"] == "done"
    # At once, without another start.
    assert _decide(process)["score"]["model_ref"] == card.ref
    _start(process.deps)
    back = process.post("/v1/registry/score/refund/rollback", session_token=tokens[1], reason="it was the wrong one")
    assert back.json()["from_version"] == made["version"]
    assert _decide(process)["score"]["model_ref"] == process.deps.rules.scorecard.ref
    assert _states(process)[made["sha256"]] == "retired"
    shown = process.get(f"/v1/registry/score/refund/{made['sha256'][:12]}").json()
    assert (shown["lineage"]["training_data_sha256"], shown["location"]) == ("ab" * 32, "gate.score_cards")
    assert [(move["alias"], move["approved_by"]) for move in shown["moves"]] == [
        ("production", LEE),
        ("production", LEE),
        ("production", "release"),
    ]


def test_a_file_is_approved_by_its_hash_before_it_is_put_in_place(process: Process) -> None:
    tokens = [token_of(one, process.desk.tenant.tenant_id) for one in (KIM, LEE)]
    told = {"kind": "language_model", "name": "chat", "label": "large", "sha256": "c" * 64, "location": "chat", "lineage": {}}
    made = process.post("/v1/registry/files", session_token=tokens[0], **told).json()
    path = f"/v1/registry/language_model/chat/{made['sha256'][:12]}/activate"
    wanted = {"session_token": tokens[0], "reason": "the larger model answers better"}
    assert process.post(path, target="canary", percent=5, **wanted).json()["code"] == "no_such_target"
    change = process.post(path, target="champion", **wanted).json()
    done = process.post(f"/v1/policy-changes/{change['change_id']}/approve", session_token=tokens[1]).json()
    assert (done["state"], done["version"]) == ("done", f"large+{'c' * 12}")
    held = {(one["kind"], one["name"]): one["versions"][0]["aliases"] for one in process.get("/v1/registry").json()["names"]}
    assert held["language_model", "chat"] == ["production"]
    for odd, code in (
        ({"kind": "policy"}, "unknown_kind"),
        ({"name": "Ch at"}, "invalid_artifact"),
        ({"label": ""}, "invalid_artifact"),
    ):
        refused = process.post("/v1/registry/files", session_token=tokens[0], **{**told, **odd})
        assert (refused.status_code, refused.json()["code"]) == (422, code)
    refused = process.post("/v1/registry/files", session_token=token_of(ADA, process.desk.tenant.tenant_id), **told)
    assert refused.status_code == 403


def test_what_is_no_model_is_refused(process: Process) -> None:
    token = token_of(KIM, process.desk.tenant.tenant_id)
    for content, code in (
        ({}, "unknown_score_model"),
        ({"format": "tellergate-scorecard/1"}, "invalid_scorecard"),
        ({"format": "tellergate-trees/1"}, "invalid_trees"),
        ({"format": "tellergate-baselines/1"}, "invalid_baselines"),
    ):
        refused = process.post("/v1/registry/models", session_token=token, content=content, lineage={})
        assert (refused.status_code, refused.json()["code"]) == (422, code)


@pytest.mark.parametrize("place", ["{base_points}", "{version}"])
def test_a_score_that_was_tampered_with_refuses_to_start_and_to_decide(
    process: Process, admin_conn: Connection[Any], place: str
) -> None:
    _start(process.deps)
    _tamper_with_score(process, admin_conn, place)
    deps = _with_card(process, process.deps.rules.scorecard)
    with pytest.raises(NoUsableScore):
        _start(deps)
    refused = _ask(Process(process.desk, deps, process.clock, process.signer))
    assert (refused.status_code, refused.json()["code"]) == (503, "no_usable_score")
    assert process.desk.role("gate").execute("SELECT COUNT(*) FROM gate.decisions").fetchone() == (0,)


def _tamper_with_score(process: Process, admin_conn: Connection[Any], place: str = "{base_points}") -> None:
    value = "1" if place == "{base_points}" else '"0"'
    with admin_conn.transaction():
        admin_conn.execute("ALTER TABLE gate.score_cards DISABLE TRIGGER append_only")
        admin_conn.execute(
            "UPDATE gate.score_cards SET content = JSONB_SET(content, %s::TEXT [], %s::JSONB) WHERE tenant_id = %s",
            [place, value, process.desk.tenant.tenant_id],
        )
        admin_conn.execute("ALTER TABLE gate.score_cards ENABLE ALWAYS TRIGGER append_only")


def _ask(process: Process) -> Any:
    desk = process.desk
    return process.post(f"/v1/proposals/{desk.propose(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)]))}/decide")


def _decide(process: Process) -> Any:
    return _ask(process).json()["decision"]


def _hash_of(card: Scorecard) -> str:
    return card.ref.rpartition(":")[2]


def _states(process: Process) -> dict[str, str]:
    (names,) = (one for one in process.get("/v1/registry").json()["names"] if one["kind"] == "score")
    return {row["sha256"]: row["state"] for row in names["versions"]}


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
