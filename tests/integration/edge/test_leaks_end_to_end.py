"""A value that detection overlooked stops at the last step: not stored, not shown, an incident open, and the metric counts it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.event import Event
from domain.ids import make_id
from serving.edge.export_guard import ExportBlocked, ExportGuard
from serving.edge.money_client import MoneyClient
from storage.events import append_event
from tests.integration.edge.scripted_agents import TurnSeen, done, sentence
from tests.integration.edge.test_events import append, wait_until_placed
from tests.integration.edge.world import EdgeWorld

CARD = "4000056655665556"
_METRIC = "masked_field_leakage_incidents"


def _says_a_card(_: TurnSeen) -> Iterator[Any]:
    yield sentence("This is fine.")
    yield sentence(f"The card is {CARD}.")
    yield done()


def _incidents(world: EdgeWorld, person: str = "ira") -> str:
    answer = world.sign_in(person).get("/metrics")
    assert answer.status_code == 200, answer.text
    (line,) = [line for line in answer.text.splitlines() if line.startswith(_METRIC)]
    return line


def test_an_overlooked_card_in_an_answer(world: EdgeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    client = world.sign_in()
    world.agents.script = _says_a_card
    masked = world.ask(client, "which card?").json()
    assert CARD not in str(masked)
    assert (masked["state"], masked["notice"]) == ("complete", None)
    monkeypatch.setattr(world.detector, "detect", lambda *_, **__: ())
    answer = world.ask(client, "which card, please?").json()
    assert (answer["state"], answer["notice"]["code"]) == ("interrupted", "leak_blocked")
    assert [part["text"] for part in answer["sentences"]] == ["This is fine."]
    assert CARD not in str(answer)
    assert CARD not in str(client.get(f"/api/v1/messages/{answer['message_id']}/answer").json())
    assert world.rows("SELECT kind, subject, facts ->> 'classes' FROM core.cases WHERE kind = 'leak_incident'") == [
        ("leak_incident", "stored", '["CARD"]')
    ]
    assert world.rows("SELECT count(*) FROM core.messages WHERE masked_text LIKE %s", [f"%{CARD}%"]) == [(0,)]
    assert _incidents(world) == f'{_METRIC}{{tenant="{world.tenant.tenant_id}"}} 1.0'


@pytest.mark.parametrize(
    "leaf",
    [
        "card_4000056655665556",
        "/URI/DE89370400440532013000/Invoice-2026-08-15-x",
        "DE89370400440532013000",
        "beside evt_0123456789abcdef0123456789abcdef 4000056655665556",
    ],
)
def test_a_value_dressed_as_something_of_ours_is_looked_at(world: EdgeWorld, leaf: str) -> None:
    guard = ExportGuard(world.deps.database, world.deps.clock)
    with pytest.raises(ExportBlocked):
        guard.require_clean({"a": [{"b": leaf}]}, tenant_id=world.tenant.tenant_id, name="log")
    fine = ["evt_01234567890123456789012345678901", "txn_5f2c81a09b44", "2026-03-04T10:00:00.123456Z", "ab" * 32]
    guard.require_clean(fine, tenant_id=world.tenant.tenant_id, name="log")


def test_metrics_are_for_auditors_and_administrators(world: EdgeWorld) -> None:
    assert _incidents(world).endswith(" 0.0")
    assert world.sign_in("ada").get("/metrics").status_code == 403
    assert world.browser().get("/metrics").status_code == 303


def test_a_log_and_a_receipt_with_a_value_do_not_leave(world: EdgeWorld) -> None:
    client, auditor = world.sign_in(), world.sign_in("ira")
    answer = world.ask(client, "charged twice?").json()
    receipt = f"/api/v1/receipts/{answer['decision']['decision_id']}"
    before = wait_until_placed(world, append(world, 1)[0])
    assert len(auditor.get("/api/v1/events").json()["items"]) == before + 1
    assert auditor.get(receipt).status_code == 200
    # A fault that writes what it should not: an event with a card in its source.
    now = datetime.now(UTC)
    event = Event(
        event_id=make_id("evt", now), event_type="case.opened", source=f"card {CARD}", subject="cas_1",
        tenant_id=world.tenant.tenant_id, occurred_at=now, recorded_at=now, data={},
    )  # fmt: skip
    append_event(world.conn_as("jobs", world.tenant), event)
    wait_until_placed(world, event.event_id)
    refused = auditor.get("/api/v1/events", params={"after": before})
    assert (refused.status_code, refused.json()["code"]) == (500, "leak_blocked")
    assert CARD not in refused.text
    assert auditor.get("/api/v1/events", params={"limit": before + 1}).status_code == 200
    assert _incidents(world).endswith(" 1.0")


def test_a_receipt_with_a_value_does_not_leave(world: EdgeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = world.ask(world.sign_in(), "charged twice?").json()

    async def find(*_: object) -> bytes:
        return json.dumps({"event": {"data": {"reason": [f"card {CARD}"]}}}).encode()

    monkeypatch.setattr(MoneyClient, "find_receipt", find)
    refused = world.sign_in("ira").get(f"/api/v1/receipts/{answer['decision']['decision_id']}")
    assert (refused.status_code, refused.json()["code"]) == (500, "leak_blocked")
    assert CARD not in refused.text
    assert _incidents(world).endswith(" 1.0")
