"""The policy's API as people call it: administrators act, auditors read, nobody else sees it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.edge.world import EdgeWorld
from tests.integration.gates.bundles import change_starter

STRICT = change_starter(("restrictions.cedar", "context.score >= 600", "context.score >= 1"), version="3-strict")
BODY: dict[str, Any] = {"manifest": dict(STRICT.content["manifest"]), "files": dict(STRICT.content["files"])}


def test_two_administrators_change_the_policy_and_one_takes_it_back(world: EdgeWorld) -> None:
    kim, lee, ira = (world.sign_in(username) for username in ("kim", "lee", "ira"))
    first = kim.get("/api/v1/policies/active").json()["sha256"]
    made = kim.post("/api/v1/policies", json=BODY)
    assert (made.status_code, made.json()["sha256"], made.json()["state"]) == (201, STRICT.sha256, "candidate")
    change = kim.post(f"/api/v1/policies/{STRICT.sha256[:12]}/activate", json={"reason": "to see every refund"}).json()
    assert (change["state"], change["target"], change["requested_by"]) == ("open", "champion", "opr_kim")
    path = f"/api/v1/policy-changes/{change['change_id']}/approve"
    assert kim.post(path).json()["code"] == "own_change"
    assert lee.post(path).json()["decided_by"] == "opr_lee"
    assert ira.get("/api/v1/policies/active").json()["sha256"] == STRICT.sha256
    back = lee.post("/api/v1/policy-rollback", json={"reason": "too much work"})
    assert (back.status_code, back.json()["moved_by"]) == (200, "opr_lee")
    assert ira.get("/api/v1/policies/active").json()["sha256"] == first
    listed = ira.get("/api/v1/policies").json()
    assert [row["aliases"] for row in listed["policies"] if row["sha256"] == first] == [["production"]]
    assert [row["state"] for row in listed["changes"]] == ["done"]


@pytest.mark.parametrize("username", ["ada", "cleo", "eve", "gus"])
def test_nobody_else_opens_it(world: EdgeWorld, username: str) -> None:
    client = world.sign_in(username)
    for method, path, body in (
        ("GET", "/api/v1/policies", None),
        ("GET", "/api/v1/policies/active", None),
        ("POST", "/api/v1/policies", BODY),
        ("POST", f"/api/v1/policies/{STRICT.sha256}/activate", {}),
        ("POST", f"/api/v1/policy-changes/chg_{'0' * 32}/approve", None),
        ("POST", "/api/v1/policy-rollback", {"reason": "because"}),
    ):
        answer = client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_role"), path


def test_an_auditor_reads_and_does_not_act(world: EdgeWorld) -> None:
    ira = world.sign_in("ira")
    assert ira.get("/api/v1/policies").status_code == 200
    assert ira.post("/api/v1/policies", json=BODY).json()["code"] == "missing_role"
    assert ira.post("/api/v1/policy-rollback", json={"reason": "because"}).status_code == 403


def test_what_is_no_bundle_is_refused(world: EdgeWorld) -> None:
    kim = world.sign_in("kim")
    broken = {**BODY, "files": {**BODY["files"], "permits.cedar": "permit (principal, action, resource);"}}
    for path, body, code in (
        ("/api/v1/policies", broken, "invalid_policy_bundle"),
        ("/api/v1/policies/ffffffffffff/activate", {}, "unknown_bundle"),
        ("/api/v1/policies/..%2Fhealthz/activate", {}, None),
        (f"/api/v1/policies/{'f' * 64}/activate", {"target": "canary"}, "invalid_percent"),
    ):
        answer = kim.post(path, json=body)
        assert answer.status_code in {404, 422}, path
        assert code is None or answer.json()["code"] == code
    assert len(kim.get("/api/v1/policies").json()["policies"]) == 1
