"""Reviews and the kill switch by API and by command: claim, answer, count, export, freeze, thaw."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest
from click.testing import Result
from typer.testing import CliRunner

from serving.cli import calls, digest, review
from serving.cli.app import app
from serving.cli.client import ApiProblem
from tests.integration.edge.world import ROOT, EdgeWorld

Run = Callable[..., Result]
ASK = "she wants the flight back: refund T3 with EUR 618.00"
POSTINGS = "SELECT count(*) FROM ledger.transfer_events WHERE event_type = 'ledger.transfer_posted'"


@pytest.fixture
def run(world: EdgeWorld, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command against the world's API, as `--as` says; only the way to the socket is another."""
    clients: dict[str, httpx.Client] = {}

    def ask(_: Any, method: str, path: str, as_user: str | None, **options: Any) -> dict[str, Any]:
        username = as_user or "ada"
        clients[username] = clients.get(username) or world.sign_in(username)
        answer = clients[username].request(method, path, **options)
        if answer.is_error:
            raise ApiProblem(answer.status_code, answer.json())
        body: dict[str, Any] = answer.json()
        return body

    for module in (calls, review, digest):
        monkeypatch.setattr(module, "ask_as", ask)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def _wait_for_person(world: EdgeWorld) -> dict[str, Any]:
    answer: dict[str, Any] = world.ask(world.sign_in(), ASK).json()
    assert answer["decision"]["outcome"] == "review", answer["reasons"]
    return answer


def test_a_claim_over_the_api_keeps_others_out(world: EdgeWorld) -> None:
    waiting = _wait_for_person(world)
    cleo, dan = world.sign_in("cleo"), world.sign_in("dan")
    path = f"/api/v1/reviews/{waiting['review']['review_id']}"
    held = cleo.post(f"{path}/claim")
    assert (held.status_code, held.json()["claimed_by"]) == (200, "opr_cleo")
    body = {"action_digest": waiting["decision"]["action_digest"]}
    other = dan.post(f"{path}/approve", json=body)
    assert (other.status_code, other.json()["code"]) == (409, "claimed_by_other")
    (group,) = dan.get("/api/v1/reviews").json()["groups"]
    assert group["members"][0]["claimed_by"] == "opr_cleo"
    assert dan.post(f"{path}/release").json()["code"] == "not_your_claim"
    assert cleo.post(f"{path}/release").json()["claimed_by"] is None
    assert world.sign_in("ira").post(f"{path}/claim").json()["code"] == "not_an_approver"
    assert world.sign_in("ada").post(f"{path}/claim").status_code == 403
    assert dan.post(f"{path}/approve", json=body).json()["posting"]["amount_minor"] == 61_800


def test_list_show_claim_refuse_by_command(world: EdgeWorld, run: Run) -> None:
    waiting = _wait_for_person(world)
    review_id = waiting["review"]["review_id"]
    listed = run("review", "list", "--as", "cleo")
    assert f"{review_id}  refund  EUR 618.00  priority" in listed.output
    shown = run("review", "show", review_id, "--as", "cleo").output
    assert "review: The amount is above the operator's own limit. (above_operator_limit)" in shown
    assert "transaction comes from ledger" in shown
    assert f"digest: {waiting['decision']['action_digest']}" in shown
    assert "held by opr_cleo until" in run("review", "claim", review_id, "--as", "cleo").output
    wrong = run("review", "approve", review_id, "--digest", "0" * 64, "--as", "cleo", "--json")
    assert (wrong.exit_code, json.loads(wrong.output)["error"]["code"]) == (2, "action_digest_mismatch")
    assert run("review", "approve", review_id, "--as", "ada").exit_code == 2
    done = run("review", "refuse", review_id, "--reason", "The carrier refunded it.", "--as", "cleo", "--json")
    assert json.loads(done.output)["decision"]["outcome"] == "deny"
    assert run("review", "list", "--as", "cleo").output == "nothing waits\n"
    gone = run("review", "show", review_id, "--as", "cleo", "--json")
    assert (gone.exit_code, json.loads(gone.output)["error"]["code"]) == (2, "review_not_open")
    assert run("review", "show", "rev_1", "--as", "cleo").exit_code == 2
    assert world.rows(POSTINGS) == [(0,)]


def test_approve_stats_and_export_by_command(world: EdgeWorld, run: Run) -> None:
    review_id = _wait_for_person(world)["review"]["review_id"]
    first = run("review", "approve", review_id, "--as", "cleo", "--idempotency-key", "k1", "--json")
    assert json.loads(first.output)["posting"]["amount_minor"] == 61_800
    stats = run("review", "stats", "--as", "ira").output
    assert "above_operator_limit (review-above-operator-limit): approved what it stopped in 1 of 1" in stats
    assert "opr_cleo: 1 verdicts" in stats
    lines = run("review", "export", "--jsonl", "--as", "ira").output.splitlines()
    schema = json.loads((ROOT / "docs" / "schemas" / "review-outcome.schema.json").read_text())
    (label,) = [json.loads(line) for line in lines]
    jsonschema.validate(label, schema)
    assert (label["verdict"], label["answered_by"], label["review_id"]) == ("approve", "opr_cleo", review_id)
    assert run("review", "export", "--as", "cleo").exit_code == 2
    assert world.rows(POSTINGS) == [(1,)]


def test_a_freeze_stops_what_was_approved_and_a_second_person_thaws(world: EdgeWorld, run: Run) -> None:
    waiting = _wait_for_person(world)
    review_id = waiting["review"]["review_id"]
    for wrong in ((), ("--tenant", "--kind", "refund"), ("--kind", "nothing")):
        assert run("freeze", *wrong, "--reason", "odd", "--as", "cleo").exit_code == 2
    assert run("freeze", "--tenant", "--as", "cleo").exit_code == 2
    assert run("freeze", "--tenant", "--reason", "odd", "--as", "ada").exit_code == 2
    made = run("freeze", "--kind", "refund", "--reason", "many odd refunds", "--as", "kim", "--json")
    freeze_id = json.loads(made.output)["freeze_id"]
    body = {"action_digest": waiting["decision"]["action_digest"]}
    stopped = world.sign_in("cleo").post(f"/api/v1/reviews/{review_id}/approve", json=body).json()
    assert stopped.get("posting") is None
    assert "frozen" in json.dumps(stopped)
    asked = world.ask(world.sign_in(), "charged twice?").json()
    assert (asked["decision"]["outcome"], [one["code"] for one in asked["reasons"]]) == ("deny", ["frozen"])
    assert f"{freeze_id}  kind refund  frozen by opr_kim" in run("freeze", "list", "--as", "ira").output
    own = run("thaw", freeze_id, "--as", "kim", "--json")
    assert json.loads(own.output)["error"]["code"] == "own_freeze"
    assert run("thaw", freeze_id, "--as", "cleo").exit_code == 2
    assert run("thaw", freeze_id, "--as", "lee").exit_code == 0
    assert run("freeze", "list", "--as", "ira").output == "nothing is frozen\n"
    assert world.rows(POSTINGS) == [(0,)]
    again = world.ask(world.sign_in(), "charged twice?").json()
    assert again["posting"]["amount_minor"] == 4_990


def test_the_digest_by_command(world: EdgeWorld, run: Run) -> None:
    world.ask(world.sign_in(), "charged twice?")
    told = run("digest", "--as", "cleo").output
    assert "  refund: 1, EUR 49.90 in all, the largest EUR 49.90\n" in told
    assert "proposed by: ada 1\n" in told
    assert "  nothing\n" in run("digest", "--day", "2020-01-01", "--as", "cleo").output
    assert run("digest", "--day", "soon", "--as", "cleo").exit_code == 2
    assert json.loads(run("digest", "--as", "cleo", "--json").output)["decisions"] == {"allow": 1}
