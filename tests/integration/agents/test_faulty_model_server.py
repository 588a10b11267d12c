"""Whole turns with the real gateway, over a real socket, against a model server that misbehaves: templates end each in time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from agents.support.state import Budgets
from agents.support.turn_types import DoneEvent, SentenceEvent, TurnEvent
from serving.vllm.endpoint import ModelEndpoint
from serving.vllm.factory import make_chat_gateway
from serving.vllm.gateway import ModelGateway
from tests.doubles.openai_server import FakeOpenAi, Mode
from tests.doubles.prompt_guard import OpenGuard
from tests.integration.agents.conftest import MakeTurns
from tests.integration.agents.world import World

_BUDGETS = Budgets(reading_s=0.5, first_sentence_s=1.0, draft_s=2.0, cross_check=True)
_WITHIN_S = 3.0
_FAULTS: tuple[Mode, ...] = (
    "garbage", "empty", "hang", "hang_in_stream", "drop", "drop_in_stream", "error500", "not_json", "cut", "endless", "blank",
    "broken_events",
)  # fmt: skip
_WRONG_JSON = (
    '{"intent": 7, "handle": ["T2"], "action": null}',
    '{"intent":"refund","handle":"T9999","action":"refund"}',
    '{"intent":"refund","handle":"T2","action":"refund","amount_minor":999999}',
    "[]",
    "9" * 6000,
    "[" * 20_000,
)


@dataclass(frozen=True, slots=True)
class Rig:
    """A model server and the gateway to it."""

    server: FakeOpenAi
    gateway: ModelGateway


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    with tempfile.TemporaryDirectory(prefix="tg-faulty-") as folder:
        server, uds = FakeOpenAi(), Path(folder) / "m.sock"
        async with server.serve(uds):
            endpoint = ModelEndpoint("http://model/v1", "chat", "key", uds=uds, health_url="http://model/health")
            gateway = make_chat_gateway(endpoint, name="faulty", guard=OpenGuard())
            yield Rig(server, gateway)
            await gateway.close()


async def _run(make_turns: MakeTurns, world: World, rig: Rig, text: str) -> list[TurnEvent]:
    """Run one turn; fail when it takes longer than its budgets."""
    turns = make_turns(rig.gateway, _BUDGETS)
    async with asyncio.timeout(_WITHIN_S):
        return [event async for event in turns.run(world.ask(text), tenant_context=world.tenant.context("ai"))]


def _writers(events: list[TurnEvent]) -> set[str]:
    return {event.sentence.generated_by for event in events if isinstance(event, SentenceEvent)}


@pytest.mark.parametrize("mode", _FAULTS)
async def test_each_fault_ends_in_templates_and_the_same_proposal(
    make_turns: MakeTurns, world: World, rig: Rig, mode: Mode
) -> None:
    rig.server.mode = mode
    rig.server.text = "one two three four"
    events = await _run(make_turns, world, rig, "Was the customer charged twice?")
    assert [event.type for event in events] == ["sentence", "proposal", "sentence", "done"]
    assert _writers(events) == {"template"}
    assert isinstance(events[-1], DoneEvent)
    assert events[-1].model == "none"
    assert rig.server.requests, "the model was asked"
    assert len(world.proposals()) == 1


async def test_a_sentence_without_end_is_left_before_the_budget_is_spent(make_turns: MakeTurns, world: World, rig: Rig) -> None:
    rig.server.mode = "endless"
    started = asyncio.get_running_loop().time()
    await _run(make_turns, world, rig, "Was the customer charged twice?")
    assert asyncio.get_running_loop().time() - started < _BUDGETS.draft_s - 0.5


@pytest.mark.parametrize("answer", _WRONG_JSON, ids=["types", "handle", "extra", "list", "number", "deep"])
async def test_wrong_json_proposes_nothing_that_code_did_not_read(
    make_turns: MakeTurns, world: World, rig: Rig, answer: str
) -> None:
    rig.server.text = answer
    events = await _run(make_turns, world, rig, "hello there")
    assert isinstance(events[-1], DoneEvent)
    assert _writers(events) <= {"template"}
    assert world.proposals() == []
    assert rig.server.requests, "the model was asked"
