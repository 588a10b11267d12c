"""The money process's API: who may ask, what it answers, and what bad input gets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.receipt import Receipt
from gates.reasons import plain_reason
from serving.money.app import create_money_app
from tests.conftest import Tenant
from tests.integration.edge.served import Served
from tests.integration.gates.desk import ADA, CLEO, DAN, STRANGE_ACCOUNT, token_of
from tests.integration.money.conftest import TOKEN, Process

UNKNOWN = "0" * 32


def _duplicate(process: Process, amount_minor: int = 1290, *, operator_id: str = ADA) -> str:
    desk = process.desk
    charges = [desk.add_charge(amount_minor), desk.add_charge(amount_minor, minutes=1)]
    return desk.propose(desk.add_turn(charges, operator_id=operator_id), amount_minor=amount_minor)


def _answer(process: Process, view: dict[str, Any], operator_id: str, verdict: str = "approve", **changes: Any) -> Any:
    body = {
        "session_token": token_of(operator_id, process.desk.tenant.tenant_id),
        "action_digest": view["decision"]["action_digest"],
        "reason": "read it",
        "idempotency_key": f"k-{operator_id}-{verdict}",
        **changes,
    }
    return process.post(f"/v1/reviews/{view['review']['review_id']}/{verdict}", **body)


def test_decide_posts_once_and_repeats_the_answer(process: Process) -> None:
    proposal_id = _duplicate(process)
    first = process.post(f"/v1/proposals/{proposal_id}/decide")
    assert first.status_code == 200
    view = first.json()
    assert view["decision"]["outcome"] == "allow"
    assert view["reason_texts"] == {"within_policy": plain_reason("within_policy")}
    assert view["posting"]["amount_minor"] == 1290
    assert view["posting"]["credit"].startswith("customer:")
    assert view["posting"]["balance_after_minor"] == 1290
    assert (view["review"], view["execution"], view["receipt"]["state"]) == (None, None, "pending")

    again = process.post(f"/v1/proposals/{proposal_id}/decide").json()
    assert again == view
    assert process.get(f"/v1/proposals/{proposal_id}").json() == view
    assert process.get(f"/v1/decisions/{view['decision']['decision_id']}").json() == view
    posted = process.desk.role("gate").execute("SELECT COUNT(*) FROM ledger.transfer_lines").fetchone()
    assert posted == (1,)


def test_eight_callers_at_once_post_once(process: Process) -> None:
    proposal_id = _duplicate(process)
    with ThreadPoolExecutor(max_workers=8) as threads:
        views = list(threads.map(lambda _: process.post(f"/v1/proposals/{proposal_id}/decide").json(), range(16)))
    assert {view["posting"]["transfer_id"] for view in views} == {views[0]["posting"]["transfer_id"]}
    posted = process.desk.role("gate").execute("SELECT COUNT(*) FROM ledger.transfer_lines").fetchone()
    assert posted == (1,)


def test_a_review_is_listed_approved_and_posted(process: Process) -> None:
    view = process.post(f"/v1/proposals/{_duplicate(process, 45_000)}/decide").json()
    assert (view["decision"]["outcome"], view["posting"]) == ("review", None)
    assert view["review"]["required_approvals"] == 1
    assert process.get("/v1/reviews", state="open").json()["reviews"] == [view]

    approved = _answer(process, view, CLEO)
    assert approved.status_code == 200
    assert approved.json()["decision"]["previous_decision_id"] == view["decision"]["decision_id"]
    assert approved.json()["posting"]["amount_minor"] == 45_000
    assert _answer(process, view, CLEO).json() == approved.json()
    assert process.get("/v1/reviews").json() == {"reviews": []}
    assert process.get("/v1/reviews", state="approved").json()["reviews"][0]["review"]["state"] == "approved"


def test_a_refusal_posts_nothing(process: Process) -> None:
    view = process.post(f"/v1/proposals/{_duplicate(process, 45_000)}/decide").json()
    refused = _answer(process, view, CLEO, "refuse").json()
    assert (refused["decision"]["outcome"], refused["posting"]) == ("deny", None)
    assert [reason["code"] for reason in refused["decision"]["reasons"]] == ["review_refused"]


def test_who_may_not_answer(process: Process) -> None:
    view = process.post(f"/v1/proposals/{_duplicate(process, 45_000)}/decide").json()
    own = process.post(f"/v1/proposals/{_duplicate(process, 46_000, operator_id='opr_ben')}/decide").json()
    refusals = [
        (_answer(process, view, ADA), 403, "not_an_approver"),
        (_answer(process, own, "opr_ben"), 403, "own_proposal"),
        (_answer(process, view, CLEO, session_token="tgs.x.y"), 403, "not_signed_in"),
        (_answer(process, view, CLEO, action_digest="f" * 64), 409, "action_digest_mismatch"),
        (_answer(process, view, CLEO, action_digest="short"), 422, "invalid_request"),
        (_answer(process, view, CLEO, on_behalf_of=DAN), 422, "invalid_request"),
        (process.post(f"/v1/reviews/rev_{UNKNOWN}/approve", **_body(process)), 404, "not_found"),
        (process.post("/v1/reviews/rev_1/approve", **_body(process)), 422, "invalid_id"),
        (process.post(f"/v1/reviews/rev_{UNKNOWN}/pay", **_body(process)), 422, "invalid_request"),
    ]
    for response, status, code in refusals:
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert response.headers["content-type"] == "application/problem+json"
        assert token_of(CLEO, process.desk.tenant.tenant_id) not in response.text
    assert len(process.get("/v1/reviews").json()["reviews"]) == 2


def _body(process: Process) -> dict[str, str]:
    token = token_of(CLEO, process.desk.tenant.tenant_id)
    return {"session_token": token, "action_digest": "0" * 64, "reason": "", "idempotency_key": "k"}


def test_a_key_with_another_body_is_422(process: Process) -> None:
    view = process.post(f"/v1/proposals/{_duplicate(process, 45_000)}/decide").json()
    _answer(process, view, CLEO, idempotency_key="same")
    reused = _answer(process, view, CLEO, reason="another", idempotency_key="same")
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")


def test_a_changed_state_is_409_and_a_fresh_review_waits(process: Process) -> None:
    view = process.post(f"/v1/proposals/{_duplicate(process, 45_000)}/decide").json()
    process.desk.role("jobs").execute("UPDATE core.customers SET kyc_status = 'review'")
    stale = _answer(process, view, CLEO)
    assert (stale.status_code, stale.json()["code"]) == (409, "state_changed")
    fresh = process.get("/v1/reviews").json()["reviews"]
    assert [item["decision"]["previous_decision_id"] for item in fresh] == [view["decision"]["decision_id"]]
    assert _answer(process, fresh[0], DAN).json()["posting"]["amount_minor"] == 45_000


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic dDp0", "Bearer " + "t" * 42])
def test_without_the_token_nothing_is_said(process: Process, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    client = process.client
    client.headers.pop("Authorization")
    for method, path in (
        ("GET", "/v1/reviews?tenant_id=demo"),
        ("POST", f"/v1/proposals/prp_{UNKNOWN}/decide"),
        ("GET", "/nope"),
    ):
        response = client.request(method, path, headers=headers)
        assert (response.status_code, response.json()["code"]) == (403, "wrong_process_token")
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "arguments", "status", "code"),
    [
        ("POST", f"/v1/proposals/prp_{UNKNOWN}/decide", {"json": {"tenant_id": "nobody-here"}}, 404, "not_found"),
        ("POST", "/v1/proposals/prp_1/decide", {"json": {"tenant_id": "demo"}}, 422, "invalid_id"),
        ("POST", "/v1/proposals/x' OR 1/decide", {"json": {"tenant_id": "demo"}}, 422, "invalid_id"),
        ("POST", f"/v1/proposals/prp_{UNKNOWN}/decide", {"json": {"tenant_id": "Demo; --"}}, 422, "invalid_request"),
        ("POST", f"/v1/proposals/prp_{UNKNOWN}/decide", {"json": {"tenant_id": "demo", "more": 1}}, 422, "invalid_request"),
        ("POST", f"/v1/proposals/prp_{UNKNOWN}/decide", {"json": {"tenant_id": 7}}, 422, "invalid_request"),
        ("POST", f"/v1/proposals/prp_{UNKNOWN}/decide", {"content": b"\xff\x00{"}, 422, "invalid_request"),
        ("POST", f"/v1/proposals/prp_{UNKNOWN}/decide", {"content": b"[" * 60_000}, 422, "invalid_request"),
        ("POST", f"/v1/proposals/prp_{UNKNOWN}/decide", {"content": b"x" * 524_289}, 413, "body_too_large"),
        ("GET", f"/v1/decisions/dec_{UNKNOWN}", {"params": {"tenant_id": "demo"}}, 404, "not_found"),
        ("GET", f"/v1/decisions/prp_{UNKNOWN}", {"params": {"tenant_id": "demo"}}, 422, "invalid_id"),
        ("GET", f"/v1/decisions/dec_{UNKNOWN}", {}, 422, "invalid_request"),
        ("GET", f"/v1/receipts/dec_{UNKNOWN}", {"params": {"tenant_id": "demo"}}, 404, "not_found"),
        ("GET", "/v1/reviews", {"params": {"tenant_id": "demo", "state": "any"}}, 422, "invalid_request"),
        ("GET", "/v1/nothing", {}, 404, "http_404"),
        ("DELETE", "/v1/reviews", {}, 405, "http_405"),
    ],
)
def test_bad_input_is_a_problem(
    process: Process, method: str, path: str, arguments: dict[str, Any], status: int, code: str
) -> None:
    response = process.client.request(method, path, **arguments)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json().keys() >= {"type", "title", "status", "code", "detail"}


def test_another_tenant_s_proposal_does_not_exist(process: Process, other_tenant: Tenant) -> None:
    proposal_id = _duplicate(process)
    response = process.client.post(f"/v1/proposals/{proposal_id}/decide", json={"tenant_id": other_tenant.tenant_id})
    assert response.status_code == 404
    foreign = process.desk.add_charge(account_id=STRANGE_ACCOUNT)
    turn = process.desk.add_turn([], outside=[foreign])
    view = process.post(f"/v1/proposals/{process.desk.propose(turn, transaction='X1')}/decide").json()
    assert view["decision"]["reasons"][0]["code"] == "transaction_not_granted"


def test_the_database_down_is_503_and_changes_nothing(process: Process) -> None:
    proposal_id = _duplicate(process)
    process.deps.executor_pool.close()
    response = process.post(f"/v1/proposals/{proposal_id}/decide")
    assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
    assert process.get(f"/v1/proposals/{proposal_id}").json()["posting"] is None


def test_it_works_over_its_unix_socket(process: Process, own_folder: Path) -> None:
    path = own_folder / "money.sock"
    server = Served(create_money_app(process.deps), uds=path)
    transport = httpx.HTTPTransport(uds=str(path))
    with httpx.Client(transport=transport, base_url="http://money", headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        body = {"tenant_id": process.desk.tenant.tenant_id}
        view = client.post(f"/v1/proposals/{_duplicate(process)}/decide", json=body)
        assert view.json()["posting"]["amount_minor"] == 1290
        assert client.get("/v1/reviews", params=body, headers={"Authorization": "Bearer no"}).status_code == 403
    server.stop()


def test_receipts_come_when_the_log_has_them(process: Process) -> None:
    with process.client:
        view = process.post(f"/v1/proposals/{_duplicate(process)}/decide").json()
        decision_id = view["decision"]["decision_id"]
        receipt = None
        for _ in range(200):
            response = process.get(f"/v1/receipts/{decision_id}")
            if response.status_code == 200:
                receipt = Receipt.model_validate_json(response.content)
                break
            assert (response.status_code, response.json()) == (202, {"state": "pending"})
            process.desk.role("gate").execute("SELECT PG_SLEEP(0.02)")
        assert receipt is not None
        kinds = [entry.record["event_type"] for entry in receipt.records]
        assert kinds == ["proposal.submitted", "gate.decided", "ledger.transfer_posted"]
        ready = process.get(f"/v1/decisions/{decision_id}").json()["receipt"]
        assert ready == {"state": "ready", "position": receipt.records[-1].index}
        key = process.client.get("/v1/public-key").text
        assert key.strip() == process.signer.verifier_key
        assert process.client.get("/healthz").json() == {"state": "ready", "faults": []}
