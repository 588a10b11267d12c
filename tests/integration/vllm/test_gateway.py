"""The gateway over a real socket, against a server that misbehaves on order."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from agents.ports import ModelAnswerUnusable, ModelTooSlow, ModelUnavailable
from masking.classes import PiiClass
from masking.guard import LeakBlocked, Surface
from masking.text import masked_from_store
from prompts.library import load_library
from prompts.rendering import MaskedPrompt, PromptValue, render_prompt
from serving.leak_client import LeakGuardUnavailable
from serving.vllm.admission import Admission
from serving.vllm.breaker import CircuitBreaker
from serving.vllm.client import SEED, VllmChat
from serving.vllm.endpoint import ModelEndpoint, open_http_client
from serving.vllm.gateway import ModelCall, ModelGateway
from tests.doubles.openai_server import FakeOpenAi, Mode

SCHEMA = {"type": "object"}
SECRET = "was she charged twice"


@dataclass
class Rig:
    server: FakeOpenAi
    gateway: ModelGateway
    calls: list[ModelCall]
    now: list[float]
    guard: ScriptedGuard


class ScriptedGuard:
    """Remember what was checked, and raise what the test wants."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[str, ...], Surface]] = []
        self.error: Exception | None = None

    async def check(self, texts: Sequence[str], *, tenant_id: str, surface: Surface) -> None:
        self.seen.append((tenant_id, tuple(texts), surface))
        if self.error is not None:
            raise self.error


def prompt(tenant_id: str = "demo") -> MaskedPrompt:
    values: dict[str, PromptValue] = {
        "handles": frozenset({"T1"}),
        "facts": [masked_from_store("T1 is a fee.")],
        "message": masked_from_store(SECRET),
    }
    return render_prompt(load_library().find("support_interpret"), values, tenant_id=tenant_id)


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    with tempfile.TemporaryDirectory(prefix="tg-gw-") as folder:
        uds = Path(folder) / "m.sock"
        endpoint = ModelEndpoint("http://model/v1", "chat", "key", uds=uds, health_url="http://model/health")
        http_client = open_http_client(endpoint)
        calls: list[ModelCall] = []
        offset = [0.0]
        guard = ScriptedGuard()

        def monotonic() -> float:
            return time.monotonic() + offset[0]

        gateway = ModelGateway(
            VllmChat(endpoint, http_client),
            name="smollm2",
            breaker=CircuitBreaker(monotonic=monotonic, failure_threshold=3, open_s=5),
            admission=Admission(max_running=2, max_waiting_per_salt=2),
            monotonic=monotonic,
            guard=guard,
            first_token_timeout_s=0.3,
            on_call=calls.append,
        )
        server = FakeOpenAi('{"intent": "fee"}')
        async with server.serve(uds):
            yield Rig(server, gateway, calls, offset, guard)
        await http_client.aclose()


async def read(rig: Rig, timeout_s: float = 1.0) -> str:
    return "".join([piece async for piece in rig.gateway.stream_text(prompt(), max_tokens=20, timeout_s=timeout_s)])


async def test_a_call_is_pinned_salted_and_logged_without_its_text(rig: Rig) -> None:
    answer = await rig.gateway.complete_json(prompt(), SCHEMA, max_tokens=40, timeout_s=1)
    assert answer == '{"intent": "fee"}'
    (request,) = rig.server.requests
    assert (request["temperature"], request["seed"], request["top_p"]) == (0.0, SEED, 1.0)
    assert request["max_completion_tokens" if "max_completion_tokens" in request else "max_tokens"] == 40
    assert request["structured_outputs"] == {"json": SCHEMA}
    assert request["cache_salt"] == prompt().cache_salt != prompt("other").cache_salt
    (call,) = rig.calls
    assert (call.prompt_tokens, call.output_tokens, call.result, call.prompt_id) == (11, 7, "ok", "support_interpret@1")
    assert SECRET not in str(asdict(call))
    assert "fee" not in str(asdict(call))


async def test_prose_streams_and_its_tokens_are_counted(rig: Rig) -> None:
    rig.server.text = "One two three."
    assert (await read(rig)).strip() == "One two three."
    assert rig.calls[0].output_tokens == 7
    assert rig.calls[0].first_piece_ms is not None


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("empty", ModelAnswerUnusable),
        ("not_json", ModelUnavailable),
        ("cut", ModelAnswerUnusable),
        ("hang", ModelTooSlow),
        ("drop", ModelUnavailable),
        ("error500", ModelUnavailable),
    ],
)
async def test_each_fault_of_a_whole_answer_has_its_error(rig: Rig, mode: Mode, error: type[ModelUnavailable]) -> None:
    rig.server.mode = mode
    with pytest.raises(error) as caught:
        await rig.gateway.complete_json(prompt(), SCHEMA, max_tokens=40, timeout_s=0.4)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("empty", ModelAnswerUnusable),
        ("hang", ModelTooSlow),
        ("hang_in_stream", ModelTooSlow),
        ("drop", ModelUnavailable),
        ("drop_in_stream", ModelUnavailable),
        ("error500", ModelUnavailable),
    ],
)
async def test_each_fault_of_a_stream_has_its_error(rig: Rig, mode: Mode, error: type[ModelUnavailable]) -> None:
    rig.server.mode, rig.server.text = mode, "one two three four"
    with pytest.raises(error):
        await read(rig, timeout_s=0.6)


async def test_a_first_token_that_does_not_come_costs_its_own_budget(rig: Rig) -> None:
    rig.server.mode = "hang"
    started = time.monotonic()
    with pytest.raises(ModelTooSlow):
        await read(rig, timeout_s=5)
    assert time.monotonic() - started < 2


async def test_the_breaker_opens_answers_at_once_and_recovers(rig: Rig) -> None:
    rig.server.mode = "error500"
    for _ in range(3):
        with pytest.raises(ModelUnavailable):
            await rig.gateway.complete_json(prompt(), SCHEMA, max_tokens=4, timeout_s=1)
    seen = len(rig.server.requests)
    with pytest.raises(ModelUnavailable):
        await rig.gateway.complete_json(prompt(), SCHEMA, max_tokens=4, timeout_s=1)
    assert len(rig.server.requests) == seen, "an open breaker asks nobody"
    assert rig.gateway.breaker_state == "open"
    rig.server.mode, rig.now[0] = "good", 6.0
    await rig.gateway.complete_json(prompt(), SCHEMA, max_tokens=4, timeout_s=1)
    assert rig.gateway.breaker_state == "closed"


async def test_a_reader_who_goes_away_counts_for_nothing_and_frees_his_place(rig: Rig) -> None:
    rig.server.mode, rig.server.text = "hang_in_stream", "one two three four"
    for _ in range(4):
        async with aclosing(rig.gateway.stream_text(prompt(), max_tokens=9, timeout_s=5)) as pieces:
            await anext(pieces)
    assert rig.gateway.breaker_state == "closed"
    assert [call.result for call in rig.calls] == ["abandoned"] * 4
    rig.server.mode = "good"
    assert "four" in await read(rig)


async def test_no_more_calls_run_than_may(rig: Rig) -> None:
    rig.server.hold.clear()
    tasks = [asyncio.create_task(rig.gateway.complete_json(prompt(), SCHEMA, max_tokens=4, timeout_s=5)) for _ in range(4)]
    while rig.server.in_flight < 2:  # noqa: ASYNC110 - the server counts in its own callbacks
        await asyncio.sleep(0.01)
    rig.server.hold.set()
    await asyncio.gather(*tasks)
    assert rig.server.most_in_flight == 2


async def test_a_killed_server_is_unavailable_and_not_ready(rig: Rig) -> None:
    assert await rig.gateway.is_ready()
    gone = ModelEndpoint("http://model/v1", "chat", "key", uds=Path("/tmp/tg-none.sock"), health_url="http://model/health")
    client = open_http_client(gone)
    chat = VllmChat(gone, client)
    assert not await chat.is_ready()
    with pytest.raises(ModelUnavailable):
        await chat.complete_json(prompt(), SCHEMA, max_tokens=4)
    await client.aclose()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LeakBlocked("no", classes=(PiiClass.CARD,), surface=Surface.MODEL, place="text 0123456789ab"), "leak_blocked"),
        (LeakGuardUnavailable("nobody there"), "leak_guard_unavailable"),
    ],
)
async def test_a_prompt_that_is_not_cleared_is_never_sent(rig: Rig, error: Exception, code: str) -> None:
    rig.guard.error = error
    # More often than the breaker bears: it is not the server's fault.
    for _ in range(4):
        with pytest.raises(ModelUnavailable) as caught:
            await rig.gateway.complete_json(prompt(), SCHEMA, max_tokens=40, timeout_s=1)
        assert caught.value.code == code
        with pytest.raises(ModelUnavailable):
            await read(rig)
    assert rig.server.requests == []
    assert {call.result for call in rig.calls} == {code}
    rig.guard.error = None
    await rig.gateway.complete_json(prompt("two"), SCHEMA, max_tokens=40, timeout_s=1)
    assert len(rig.server.requests) == 1
    assert rig.guard.seen[-1] == ("two", (prompt("two").user,), Surface.MODEL)
