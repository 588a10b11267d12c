"""The policy's routes of the money process: the whole life of a bundle, and what bad input gets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.gates.bundles import change_starter
from tests.integration.gates.desk import ADA, KIM, LEE, token_of
from tests.integration.money.conftest import Process

STRICT = change_starter(("restrictions.cedar", "context.score >= 600", "context.score >= 1"), version="3-strict")


def _content(**changed: Any) -> dict[str, Any]:
    return {"manifest": dict(STRICT.content["manifest"]), "files": dict(STRICT.content["files"]), **changed}


def _post(process: Process, path: str, operator_id: str = KIM, **body: Any) -> Any:
    return process.post(path, session_token=token_of(operator_id, process.desk.tenant.tenant_id), **body)


def _decide(process: Process) -> dict[str, Any]:
    desk = process.desk
    proposal_id = desk.propose(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)]))
    view: dict[str, Any] = process.post(f"/v1/proposals/{proposal_id}/decide").json()["decision"]
    return view


def test_a_bundle_is_registered_measured_approved_used_and_taken_back(
    process: Process, record_property: Callable[[str, object], None]
) -> None:
    assert _decide(process)["outcome"] == "allow"
    registered = _post(process, "/v1/policies", content=_content())
    assert (registered.status_code, registered.json()["sha256"]) == (200, STRICT.sha256)
    # The one decision there is would be another one: 1000 permille.
    path = f"/v1/policies/{STRICT.sha256[:12]}/activate"
    refused = _post(process, path, target="champion")
    assert (refused.status_code, refused.json()["code"]) == (422, "reason_needed")
    change = _post(process, path, target="champion", reason="we want to see every refund").json()
    assert (change["state"], change["drift"]["permille"], change["drift"]["decisions"]) == ("open", 1000, 1)

    approve = f"/v1/policy-changes/{change['change_id']}/approve"
    own = _post(process, approve)
    assert (own.status_code, own.json()["code"]) == (403, "own_change")
    assert _decide(process)["outcome"] == "allow"
    assert _post(process, approve, LEE).json()["state"] == "done"
    assert _decide(process)["outcome"] == "review"
    assert _post(process, approve, LEE).json()["code"] == "change_not_open"

    listed = process.get("/v1/policies").json()
    assert {row["version"].partition("+")[0]: row["aliases"] for row in listed["policies"]} == {
        "starter@4": [],
        "starter@3-strict": ["production"],
    }
    started_ns = time.monotonic_ns()
    back = _post(process, "/v1/policy-rollback", LEE, reason="too much work")
    record_property("rollback_ms", (time.monotonic_ns() - started_ns) // 1_000_000)
    assert back.json()["to_version"].startswith("starter@4+")
    assert _decide(process)["outcome"] == "allow"
    assert _post(process, "/v1/policy-rollback", LEE, reason="again").json()["code"] == "nothing_to_roll_back"


def test_a_bundle_is_shown_with_its_rules_and_files(process: Process) -> None:
    shown = process.get("/v1/policies/active").json()
    assert shown["version"] == "starter@4"
    assert {rule["policy_id"] for rule in shown["rules"]} > {"review-four-eyes", "deny-hard-cap"}
    assert set(shown["content"]["files"]) == {"permits.cedar", "restrictions.cedar", "schema.cedarschema", "tests.jsonl"}


def test_a_second_change_waits_until_the_first_is_refused(process: Process) -> None:
    _post(process, "/v1/policies", content=_content())
    path = f"/v1/policies/{STRICT.sha256}/activate"
    change = _post(process, path, target="canary", percent=5).json()
    assert _post(process, path, target="canary", percent=6).json()["code"] == "change_pending"
    assert _post(process, f"/v1/policy-changes/{change['change_id']}/refuse", LEE).json()["state"] == "refused"
    assert _post(process, path, target="canary", percent=6).json()["percent"] == 6


BAD: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "no_bundle": ("/v1/policies", {"content": {}}, 422, "invalid_policy_bundle"),
    "changed_after_sealing": (
        "/v1/policies",
        {"content": _content(files={**STRICT.content["files"], "permits.cedar": ""})},
        422,
        "invalid_policy_bundle",
    ),
    "not_registered": ("/v1/policies/ffffffffffff/activate", {"target": "champion"}, 422, "unknown_bundle"),
    "no_such_target": ("/v1/policies/ffffffffffff/activate", {"target": "king"}, 422, "invalid_request"),
    "percent_of_a_champion": ("/v1/policies/ffffffffffff/activate", {"target": "champion", "percent": 5}, 422, "invalid_percent"),
    "whole_canary": ("/v1/policies/ffffffffffff/activate", {"target": "canary", "percent": 100}, 422, "invalid_request"),
    "no_change_id": ("/v1/policy-changes/1/approve", {}, 422, "invalid_id"),
    "no_such_change": (f"/v1/policy-changes/chg_{'0' * 32}/approve", {}, 404, "not_found"),
    "no_reason": ("/v1/policy-rollback", {"reason": ""}, 422, "invalid_request"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_input_is_refused(process: Process, name: str) -> None:
    path, body, status, code = BAD[name]
    response = _post(process, path, **body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert len(process.get("/v1/policies").json()["policies"]) == 1


def test_a_support_operator_changes_nothing(process: Process) -> None:
    for path, body in (("/v1/policies", {"content": _content()}), ("/v1/policy-rollback", {"reason": "because"})):
        response = _post(process, path, ADA, **body)
        assert (response.status_code, response.json()["code"]) == (403, "not_permitted")
