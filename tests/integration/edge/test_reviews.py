"""A refund above the limit waits for a second person, who approves or refuses exactly what he read."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx

from tests.integration.edge.test_access import _hidden, console
from tests.integration.edge.world import ROOT, EdgeWorld

ASK = "she wants the flight back: refund T3 with EUR 618.00"


def _form(browser: httpx.Client, proposal_id: str, verdict: str) -> dict[str, str]:
    page = browser.get(f"/proposals/{proposal_id}/verdict", params={"verdict": verdict}, headers={"HX-Request": "true"}).text
    assert re.search(rf"{verdict.capitalize()} EUR 618.00 to Ana Lucía Ferreyra, account ••3000", page)
    return {name: _hidden(page, name) for name in ("csrf", "verdict", "review_id", "action_digest", "key")}


def _open_review(world: EdgeWorld, username: str = "ada") -> dict[str, str]:
    answer = world.ask(world.sign_in(username), ASK).json()
    assert answer["decision"]["outcome"] == "review", answer["reasons"]
    assert answer["posting"] is None
    assert [one["code"] for one in answer["reasons"]] == ["above_operator_limit", "within_policy"]
    assert answer["reasons"][0]["text"] == "The amount is above the operator's own limit."
    proposal_id: str = answer["proposal"]["proposal_id"]
    return {"proposal_id": proposal_id, "review_id": answer["review"]["review_id"], "digest": answer["decision"]["action_digest"]}


def test_approve_posts_once(world: EdgeWorld) -> None:
    review = _open_review(world)
    cleo = console(world, "cleo")
    inbox = cleo.get("/approvals").text
    assert "EUR 618.00" in inbox
    assert "Ada Osei" in inbox
    form = _form(cleo, review["proposal_id"], "approve")
    posted = cleo.post(f"/proposals/{review['proposal_id']}/verdict", data=form, headers={"HX-Request": "true"})
    assert posted.status_code == 200
    assert "Posted EUR 618.00" in posted.text
    again = cleo.post(f"/proposals/{review['proposal_id']}/verdict", data=form, headers={"HX-Request": "true"})
    assert "Posted EUR 618.00" in again.text
    assert "Nothing waits for you" in cleo.get("/approvals").text
    assert world.rows("SELECT count(*) FROM ledger.transfer_events WHERE event_type = 'ledger.transfer_posted'") == [(1,)]


def test_refuse_needs_words_and_posts_nothing(world: EdgeWorld) -> None:
    review = _open_review(world)
    cleo = console(world, "cleo")
    form = _form(cleo, review["proposal_id"], "refuse")
    silent = cleo.post(f"/proposals/{review['proposal_id']}/verdict", data=form, headers={"HX-Request": "true"})
    assert silent.status_code == 422
    assert "Say why you refuse" in silent.text
    refused = cleo.post(f"/proposals/{review['proposal_id']}/verdict", data={**form, "reason": "Refunded by the carrier."})
    assert "An approver refused it." in refused.text
    assert world.rows("SELECT count(*) FROM ledger.transfer_events WHERE event_type = 'ledger.transfer_posted'") == [(0,)]


def test_who_proposed_has_no_buttons_and_is_refused(world: EdgeWorld) -> None:
    review = _open_review(world, "ben")
    ben = console(world, "ben")
    inbox = ben.get("/approvals").text
    assert "nobody approves what came from his own conversation" in inbox
    assert "data-verdict" not in inbox
    page = ben.get(f"/proposals/{review['proposal_id']}/verdict", params={"verdict": "approve"})
    assert "data-confirm" not in page.text
    csrf = _hidden(inbox, "csrf")
    forced = ben.post(
        f"/proposals/{review['proposal_id']}/verdict",
        data={
            "csrf": csrf,
            "verdict": "approve",
            "review_id": review["review_id"],
            "action_digest": review["digest"],
            "key": "k",
        },
    )
    assert forced.status_code == 403
    api = world.sign_in("ben").post(f"/api/v1/reviews/{review['review_id']}/approve", json={"action_digest": review["digest"]})
    assert (api.status_code, api.json()["code"]) == (403, "own_proposal")


def test_other_roles_and_other_digests_are_refused(world: EdgeWorld) -> None:
    review = _open_review(world)
    path = f"/api/v1/reviews/{review['review_id']}/approve"
    assert world.sign_in("ada").post(path, json={"action_digest": review["digest"]}).status_code == 403
    assert world.sign_in("ira").post(path, json={"action_digest": review["digest"]}).json()["code"] == "not_an_approver"
    changed = world.sign_in("cleo").post(path, json={"action_digest": "0" * 64})
    assert (changed.status_code, changed.json()["code"]) == (409, "action_digest_mismatch")
    assert world.sign_in("ira").get("/api/v1/reviews").json()["items"][0]["review"]["review_id"] == review["review_id"]
    assert world.rows("SELECT count(*) FROM ledger.transfer_events WHERE event_type = 'ledger.transfer_posted'") == [(0,)]


def test_the_decision_page_and_the_receipt(world: EdgeWorld, tmp_path: Path) -> None:
    answer = world.ask(world.sign_in(), "charged twice?").json()
    decision_id = answer["decision"]["decision_id"]
    ira = console(world, "ira")
    page = ira.get(f"/decisions/{decision_id}").text
    assert "Facts the gate read" in page
    assert answer["decision"]["policy_bundle_sha256"][:16] in page
    sheet = ira.get(f"/decisions/{decision_id}/receipt").text
    assert f"./tellergate verify receipt_{decision_id}.json --key" in sheet
    file = ira.get(f"/receipts/{decision_id}.json")
    assert file.headers["Content-Disposition"] == f'attachment; filename="receipt_{decision_id}.json"'
    assert file.text == answer["receipt"]["document"]
    (tmp_path / "receipt.json").write_bytes(file.content)
    (tmp_path / "key.pub").write_text(ira.get("/receipts/public-key").text)
    verify = [sys.executable, "-I", str(ROOT / "gates" / "standalone" / "verify_receipt.py")]
    command = [*verify, "receipt.json", "--key", "key.pub"]
    accepted = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert accepted.returncode == 0, accepted.stderr
    assert ira.get("/receipts/public-key").text == world.sign_in().get("/api/v1/receipt-key").text
