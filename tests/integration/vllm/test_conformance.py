"""What every `agents.ports.ChatModel` does: the script, the gateway over a stand-in server, the gateway over vLLM."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from agents.ports import ChatModel
from agents.support.model_reading import parse_reading, reading_schema
from masking.text import masked_from_store
from prompts.library import load_library
from prompts.rendering import MaskedPrompt, PromptValue, render_prompt
from serving.vllm.endpoint import ModelEndpoint
from serving.vllm.factory import make_chat_gateway
from serving.vllm.server import chat_server_command
from tests.doubles.chat_model import ScriptedChat
from tests.doubles.openai_server import FakeOpenAi
from tests.doubles.prompt_guard import OpenGuard

ROOT = Path(__file__).parents[3]
HANDLES = ["T2", "T3", "X1"]
FACTS = ["T2 is a card payment of EUR 12.90 at Nordwind Books on 2026-03-08, posted.", "T3 is a fee of EUR 3.00 on 2026-03-06."]
ANSWER = '{"intent":"fee","handle":"T3","action":"none"}'
START_TIMEOUT_S = 240


@pytest.fixture(scope="session")
def vllm_socket() -> Iterator[Path]:
    """The real chat server, eager, from the environment and the model that set-up made."""
    folder = Path(tempfile.mkdtemp(prefix="tg-vllm-"))
    command = chat_server_command(
        environment=ROOT / ".venv-vllm",
        model=ROOT / "var" / "models" / "chat",
        uds=folder / "c.sock",
        cache=folder,
        api_key="key",
    )
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command.argv, env=dict(command.env), cwd=command.cwd, stdout=log, stderr=subprocess.STDOUT, process_group=0
        )
    yield command.uds
    subprocess.run(["kill", "-TERM", "--", f"-{server.pid}"], check=True)
    server.wait(timeout=30)
    shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(params=["scripted", "stand-in server", pytest.param("vLLM", marks=pytest.mark.slow)])
async def chat(request: pytest.FixtureRequest) -> AsyncIterator[ChatModel]:
    if request.param == "scripted":
        yield ScriptedChat(json_answer=ANSWER, prose="T3 is a fee. It is small.")
    elif request.param == "vLLM":
        gateway = make_chat_gateway(_endpoint(request.getfixturevalue("vllm_socket")), name="vllm", guard=OpenGuard())
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await gateway.is_ready():  # noqa: ASYNC110 - another process comes up
                await asyncio.sleep(0.5)
        yield gateway
        await gateway.close()
    else:
        with tempfile.TemporaryDirectory(prefix="tg-fake-") as folder:
            server, uds = FakeOpenAi(ANSWER), Path(folder) / "m.sock"
            async with server.serve(uds):
                gateway = make_chat_gateway(_endpoint(uds), name="stand-in", guard=OpenGuard())
                yield gateway
                await gateway.close()


def _endpoint(uds: Path) -> ModelEndpoint:
    return ModelEndpoint("http://model/v1", "chat", "key", uds=uds, health_url="http://model/health")


def _prompt(name: str) -> MaskedPrompt:
    values: dict[str, dict[str, PromptValue]] = {
        "support_interpret": {"handles": frozenset(HANDLES)},
        "support_draft": {"sentence_count": 2},
    }
    facts: PromptValue = [masked_from_store(fact) for fact in FACTS]
    message = masked_from_store("what is this fee?")
    return render_prompt(load_library().find(name), {**values[name], "facts": facts, "message": message}, tenant_id="demo")


async def test_json_fits_the_schema_and_names_only_handles_in_play(chat: ChatModel) -> None:
    answer = await chat.complete_json(_prompt("support_interpret"), reading_schema(HANDLES), max_tokens=40, timeout_s=60)
    assert json.loads(answer).keys() == {"intent", "handle", "action"}
    assert parse_reading(answer, HANDLES)


async def test_the_same_prompt_gets_the_same_answer(chat: ChatModel) -> None:
    answers = [
        await chat.complete_json(_prompt("support_interpret"), reading_schema(HANDLES), max_tokens=40, timeout_s=60)
        for _ in range(2)
    ]
    assert answers[0] == answers[1]


async def test_prose_comes_in_pieces(chat: ChatModel) -> None:
    pieces = [piece async for piece in chat.stream_text(_prompt("support_draft"), max_tokens=60, timeout_s=60)]
    assert "".join(pieces).strip()


async def test_a_stream_may_be_left(chat: ChatModel) -> None:
    for _ in range(3):
        async with aclosing(chat.stream_text(_prompt("support_draft"), max_tokens=60, timeout_s=60)) as pieces:
            assert await anext(pieces)
    assert [piece async for piece in chat.stream_text(_prompt("support_draft"), max_tokens=60, timeout_s=60)]


async def test_a_name_for_the_record(chat: ChatModel) -> None:
    assert chat.name
