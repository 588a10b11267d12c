"""The commands of the model servers keep what was measured and leak nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.vllm.server import ModelServerCommand, chat_server_command, embedding_server_command

ENVIRONMENT = Path("/checkout/.venv-vllm")
CACHE = Path("/checkout/var/cache")


def make_chat(*, gpu: bool = False, uds: Path = Path("/run/chat.sock")) -> ModelServerCommand:
    return chat_server_command(environment=ENVIRONMENT, model=Path("/m/chat"), uds=uds, cache=CACHE, api_key="s3cret", gpu=gpu)


def make_embedding() -> ModelServerCommand:
    return embedding_server_command(
        environment=ENVIRONMENT, model=Path("/m/embedding"), uds=Path("/run/e.sock"), cache=CACHE, api_key="s3cret"
    )


def option(command: ModelServerCommand, name: str) -> str:
    return command.argv[command.argv.index(name) + 1]


@pytest.mark.parametrize("command", [make_chat(), make_embedding()], ids=["chat", "embedding"])
def test_a_server_answers_on_its_socket_only_with_a_key_that_no_listing_of_processes_shows(command: ModelServerCommand) -> None:
    assert option(command, "--uds") == str(command.uds)
    assert "--port" not in command.argv
    assert "s3cret" not in " ".join(command.argv)
    assert command.env["VLLM_API_KEY"] == "s3cret"
    assert option(command, "--served-model-name") == command.served_model_name


@pytest.mark.parametrize("command", [make_chat(), make_embedding()], ids=["chat", "embedding"])
def test_a_server_is_offline_polite_and_keeps_to_its_folder(command: ModelServerCommand) -> None:
    assert command.argv[:3] == ("nice", "-n", "10")
    assert {command.env[name] for name in ("HF_HUB_OFFLINE", "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK")} == {"1"}
    assert command.env["HOME"] == str(CACHE)
    assert command.env["VLLM_CACHE_ROOT"].startswith(str(CACHE))
    assert command.env["LD_PRELOAD"] == str(ENVIRONMENT / "lib" / "libiomp5.so")
    assert (Path(command.env["PYTHONPATH"]) / "sitecustomize.py").is_file()


def test_chat_gives_compact_structured_output_and_caches_prefixes() -> None:
    assert '"disable_any_whitespace": true' in option(make_chat(), "--structured-outputs-config")
    assert "--enable-prefix-caching" in make_chat().argv
    assert option(make_chat(), "--max-model-len") == "4096"


def test_embeddings_are_pooled() -> None:
    assert option(make_embedding(), "--runner") == "pooling"


def test_a_gpu_server_gets_no_cpu_settings() -> None:
    assert not {"LD_PRELOAD", "VLLM_CPU_KVCACHE_SPACE", "OMP_NUM_THREADS"} & set(make_chat(gpu=True).env)


def test_a_command_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        make_chat().env["VLLM_API_KEY"] = "other"  # type: ignore[index]


def test_too_long_a_socket_path_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 107 bytes"):
        make_chat(uds=Path("/" + "x" * 107))
