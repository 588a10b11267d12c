"""The registry's API as people call it: administrators act, auditors read, nobody else sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gates.score.scorecard import DEFAULT_SCORECARD
from tests.integration.edge.test_access import _hidden, console
from tests.integration.edge.world import EdgeWorld

CARD: dict[str, Any] = {**json.loads(DEFAULT_SCORECARD.read_text()), "base_points": 650}
LINEAGE = {"training_data_sha256": "ab" * 32, "seed": 7}
FILE = {"kind": "ner", "name": "names", "label": "rampart", "sha256": "c" * 64, "location": "ner"}


def _register(client: Any) -> str:
    made = client.post("/api/v1/registry/models", json={"content": CARD, "lineage": LINEAGE})
    assert (made.status_code, made.json()["state"], made.json()["name"]) == (201, "candidate", "refund")
    return str(made.json()["sha256"])


def test_two_administrators_change_the_score_and_one_takes_it_back(world: EdgeWorld) -> None:
    kim, lee, ira = (world.sign_in(username) for username in ("kim", "lee", "ira"))
    sha256 = _register(kim)
    path = f"/api/v1/registry/score/refund/{sha256[:12]}"
    assert kim.post(f"{path}/activate", json={"reason": "short"}).json()["code"] == "reason_needed"
    change = kim.post(f"{path}/activate", json={"reason": "the week's labels say so"}).json()
    assert (change["state"], change["kind"], change["name"]) == ("open", "score", "refund")
    approve = f"/api/v1/policy-changes/{change['change_id']}/approve"
    assert kim.post(approve).json()["code"] == "own_change"
    assert lee.post(approve).json()["state"] == "done"
    shown = ira.get(path).json()
    assert (shown["aliases"], shown["lineage"]["training_data_sha256"]) == (["production"], "ab" * 32)
    back = lee.post("/api/v1/registry/score/refund/rollback", json={"reason": "too much work"}).json()
    assert (back["kind"], back["from_version"], back["moved_by"]) == ("score", shown["version"], "opr_lee")
    moves = [(move["moved_by"], move["approved_by"]) for move in ira.get(path).json()["moves"]]
    assert moves == [("opr_lee", "opr_lee"), ("opr_kim", "opr_lee"), ("set-up", "release")]
    names = {(one["kind"], one["name"]) for one in ira.get("/api/v1/registry").json()["names"]}
    assert names == {("policy", "gate"), ("score", "refund")}


def test_a_file_is_registered_by_its_hash_and_waits_on_the_page(world: EdgeWorld) -> None:
    kim = world.sign_in("kim")
    made = kim.post("/api/v1/registry/files", json=FILE)
    assert (made.status_code, made.json()["version"]) == (201, f"rampart+{'c' * 12}")
    change = kim.post(f"/api/v1/registry/ner/names/{'c' * 64}/activate", json={"reason": "the new int8 form"}).json()
    desk = console(world, "lee")
    page = desk.get("/operations").text
    assert change["change_id"] in page
    assert "ner names" in page
    assert f"rampart+{'c' * 12}" in page
    data = {"csrf": _hidden(page, "csrf")}
    done = desk.post(f"/operations/policy-changes/{change['change_id']}/approve", data=data, follow_redirects=True)
    assert f'data-change="{change["change_id"]}"' not in done.text
    held = {one["kind"]: one["versions"][0]["aliases"] for one in kim.get("/api/v1/registry").json()["names"]}
    assert held["ner"] == ["production"]


@pytest.mark.parametrize("username", ["ada", "cleo", "eve"])
def test_nobody_else_opens_it(world: EdgeWorld, username: str) -> None:
    client = world.sign_in(username)
    for method, path, body in (
        ("GET", "/api/v1/registry", None),
        ("GET", f"/api/v1/registry/score/refund/{'a' * 12}", None),
        ("POST", "/api/v1/registry/models", {"content": CARD}),
        ("POST", "/api/v1/registry/files", FILE),
        ("POST", f"/api/v1/registry/score/refund/{'a' * 12}/activate", {"reason": "because I want"}),
        ("POST", "/api/v1/registry/score/refund/rollback", {"reason": "because"}),
    ):
        answer = client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_role"), path


def test_an_auditor_reads_and_does_not_act(world: EdgeWorld) -> None:
    ira = world.sign_in("ira")
    assert ira.get("/api/v1/registry").status_code == 200
    for path, body in (("models", {"content": CARD}), ("files", FILE)):
        assert ira.post(f"/api/v1/registry/{path}", json=body).status_code == 403


def test_bad_input_is_refused_with_what_is_wrong(world: EdgeWorld, tmp_path: Path) -> None:
    kim = world.sign_in("kim")
    for path, body, code in (
        ("models", {"content": {"format": "tellergate-scorecard/1"}}, "invalid_scorecard"),
        ("models", {"content": {}}, "unknown_score_model"),
        ("files", FILE | {"kind": "policy"}, "unknown_kind"),
        ("files", FILE | {"sha256": "C" * 64}, None),
        ("files", FILE | {"path": str(tmp_path)}, None),
        (f"score/refund/{'f' * 64}/activate", {"reason": "because it is better"}, "unknown_bundle"),
        (f"policy/gate/{'f' * 64}/activate", {"reason": "because it is better"}, "invalid_request"),
        ("score/refund/..%2Fx/activate", {}, None),
        ("score/nothing/rollback", {"reason": "because"}, "nothing_to_roll_back"),
    ):
        answer = kim.post(f"/api/v1/registry/{path}", json=body)
        assert answer.status_code in {404, 409, 422}, (path, answer.text)
        assert code is None or answer.json()["code"] == code, path
