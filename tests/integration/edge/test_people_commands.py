"""`propose` and `incidents` as real processes on the edge's socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.integration.edge.test_events import Terminal
from tests.integration.edge.test_incidents import open_one
from tests.integration.edge.test_staff_proposals import POSTED
from tests.integration.edge.world import ACCOUNT, ROOT, EdgeWorld


class Desk:
    """A person's terminal and conversation."""

    def __init__(self, world: EdgeWorld, username: str, command: str) -> None:
        self.client = world.sign_in(username)
        self.terminal = Terminal(world, command)
        self.terminal.environment["TELLERGATE_TOKEN"] = self.client.headers["Authorization"].removeprefix("Bearer ")
        self.terminal.serve()

    def ask(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run the command with --json."""
        status, out, err = self.terminal.run(*arguments, "--json")
        assert status == code, (out, err)
        answer: dict[str, Any] = json.loads(out)
        return answer


@pytest.fixture
def ada(world: EdgeWorld) -> Iterator[Desk]:
    desk = Desk(world, "ada", "propose")
    yield desk
    desk.terminal.unserve()


@pytest.fixture
def kim(world: EdgeWorld) -> Iterator[Desk]:
    desk = Desk(world, "kim", "incidents")
    yield desk
    desk.terminal.unserve()


def test_propose_posts_once(world: EdgeWorld, ada: Desk) -> None:
    given = ["--conversation", world.open_conversation(ada.client), "--reason-code", "duplicate_charge"]
    refund = ["refund", *given, "--transaction", "T1", "--currency", "EUR", "--idempotency-key", "one"]
    made = ada.ask(*refund, "--amount", "49.90", "--as", "ada")
    assert made["decided"]["posting"]["amount_minor"] == 4990
    assert ada.ask(*refund, "--amount", "49.90")["proposal"] == made["proposal"]
    assert ada.ask(*refund, "--amount", "49.91", code=2)["error"]["code"] == "idempotency_key_reused"
    for amount in ("49,90", "49.901"):
        assert ada.ask(*refund, "--amount", amount, code=2)["error"]["code"] == "invalid_money"
    assert ada.ask(*refund, code=2)["error"]["code"] == "invalid_option"
    assert ada.ask("refund", *given, "--transaction", "T99", "--amount", "1", "--currency", "EUR", code=2)["error"]["code"] == (
        "handle_not_granted"
    )
    status, out, _ = ada.terminal.run(*refund, "--amount", "49.90")
    assert status == 0
    assert "decision: allow" in out
    assert "posted: 4990 EUR minor units" in out
    assert ada.terminal.run("tip", *given)[0] == 2
    assert world.rows(POSTED) == [("house:refunds:EUR", f"customer:{ACCOUNT}", 4990)]


def test_what_goes_over_the_wire_fits_its_schema() -> None:
    schema = json.loads((ROOT / "docs" / "schemas" / "staff-proposal.schema.json").read_text())
    arguments = {"transaction": "T1", "amount_minor": 4990, "currency": "EUR", "reason_code": "duplicate_charge"}
    jsonschema.validate({"kind": "refund", "arguments": arguments}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"kind": "refund", "arguments": {**arguments, "transaction": "txn_1"}}, schema)


def test_incidents_list_show_ack(world: EdgeWorld, kim: Desk) -> None:
    case_id = open_one(world)
    schema = json.loads((ROOT / "docs" / "schemas" / "incident.schema.json").read_text())
    (listed,) = kim.ask("list")["items"]
    jsonschema.validate(listed, schema)
    assert kim.ask("show", case_id) == listed
    taken = kim.ask("ack", case_id, "--note", "I look", "--as", "kim")
    jsonschema.validate(taken, schema)
    assert taken["acknowledgement"]["acknowledged_by"] == "opr_kim"
    assert kim.ask("ack", case_id, "--note", "again") == taken
    status, out, _ = kim.terminal.run("list")
    assert (status, f"{case_id}  open  leak_incident  output" in out, "acknowledged by opr_kim" in out) == (0, True, True)
    assert kim.ask("show", "cas_1", code=2)["error"]["code"] == "invalid_id"
    assert kim.ask("show", f"cas_{'0' * 32}", code=2)["error"]["code"] == "incident_not_found"
