"""The agents process's HTTP, with its real parts and no model."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from serving.agents_process.app import create_agents_app
from serving.agents_process.parts import AgentsDeps
from storage.pools import open_async_pool
from tests.conftest import Database
from tests.doubles.chat_model import ScriptedChat
from tests.integration.agents.world import NOW, World

TOKEN = "edge-token"


class StillClock:
    def now(self) -> datetime:
        return NOW


@pytest_asyncio.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    deps = AgentsDeps(
        open_pool=lambda: open_async_pool(database.dsn("ai"), name="agents-test"),
        make_chat=lambda: ScriptedChat(prose=""),
        make_embeddings=lambda: None,
        clock=StillClock(),
        monotonic=time.monotonic,
        process_token=TOKEN,
        max_turns=2,
    )
    app = create_agents_app(deps)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://agents", headers=headers) as client,
    ):
        yield client


def body(world: World, text: str) -> dict[str, Any]:
    turn = world.ask(text)
    return {
        "tenant_id": turn.tenant_id,
        "tenant_context": world.tenant.context("ai"),
        "conversation_id": turn.conversation_id,
        "message_id": turn.message_id,
        "masked_text": turn.masked_text,
        "language": "en",
    }


async def test_a_turn_is_lines_of_json_that_end_with_done(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post("/v1/turns", json=body(world, "Was the customer charged twice?"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert [event["type"] for event in events] == ["sentence", "proposal", "sentence", "done"]
    assert events[-1] == {"type": "done", "message_state": "complete", "model": "none"}
    assert events[1]["proposal_id"] == world.proposals()[0]["proposal_id"]


async def test_only_the_edge_may_ask(client: httpx.AsyncClient, world: World) -> None:
    for value in ("", "Bearer wrong", TOKEN):
        answer = await client.post("/v1/turns", json=body(world, "x"), headers={"Authorization": value})
        assert answer.status_code == 403
        assert answer.json()["code"] == "wrong_process_token"
    assert (await client.get("/healthz", headers={"Authorization": ""})).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"masked_text": ""}, "masked_text"),
        ({"masked_text": "x" * 140_000}, "masked_text"),
        ({"message_id": "msg_1"}, "message_id"),
        ({"tenant_id": "../x"}, "tenant_id"),
        ({"surplus": 1}, "surplus"),
        ({"tenant_context": ""}, "tenant_context"),
        ({"reader_roles": []}, "reader_roles"),
        ({"masked_text": "<PERSON_7f3a9k2m-zz>"}, ""),
    ],
)
async def test_a_malformed_turn_says_where(client: httpx.AsyncClient, world: World, change: dict[str, Any], field: str) -> None:
    request = {**body(world, "hi"), **change}
    answer = await client.post("/v1/turns", json=request)
    assert answer.status_code == 422
    problem = answer.json()
    assert field in problem["detail"]
    assert request["tenant_context"] not in problem["detail"] or not request["tenant_context"]


async def test_a_body_beyond_the_limit_or_no_json_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/turns", content=b"x" * 300_000)).status_code == 413
    assert (await client.post("/v1/turns", content=b"\x00\xff")).status_code == 422


async def test_a_forged_context_is_an_error_line_without_facts(client: httpx.AsyncClient, world: World) -> None:
    request = {**body(world, "Was the customer charged twice?"), "tenant_context": "v1.demo.ai.9999999999." + "0" * 64}
    answer = await client.post("/v1/turns", json=request)
    assert [json.loads(line)["code"] for line in answer.text.splitlines()] == ["tenant_context_refused"]


async def test_health_says_what_is_up(client: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + 60
    while (health := (await client.get("/healthz")).json())["state"] != "ready":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert health == {"state": "ready", "model": "ready", "embeddings": "off"}
