"""The two vLLM servers as commands: what to run, with which environment, where it answers. Starts nothing itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

# sockaddr_un.sun_path holds 108 bytes with the closing zero.
_SOCKET_PATH_MAX_BYTES = 107

# Holds a sitecustomize.py that ends each process with the one that started it.
_STARTUP_FOLDER = Path(__file__).parent / "startup"

# The servers shall never take the CPU from the console, the gate or the database.
_NICENESS = "10"

CHAT_CONTEXT_TOKENS = 4096
EMBEDDING_CONTEXT_TOKENS = 256
EMBEDDING_DIMENSIONS = 384


@dataclass(frozen=True, slots=True)
class ModelServerCommand:
    """How to start one model server, and where it answers once it is up.

    argv starts one process that makes others. Start it from a thread that lives as long as the server shall (its processes are
    killed when their starter ends), in a session of its own (`start_new_session=True`), after removing a stale socket file;
    SIGTERM to the first process ends all of them, within 3 s when idle. cwd must exist.
    env is complete: the server inherits nothing else, no password of ours among it.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    uds: Path
    served_model_name: str
    # The host is ignored on a Unix socket, but HTTP wants one.
    base_url: str = "http://model/v1"
    health_url: str = "http://model/health"


def chat_server_command(
    *,
    environment: Path,
    model: Path,
    uds: Path,
    cache: Path,
    api_key: str,
    gpu: bool = False,
    threads: int = 2,
    kv_cache_gib: int = 1,
    context_tokens: int = CHAT_CONTEXT_TOKENS,
) -> ModelServerCommand:
    """Return the command of the chat server: OpenAI API, JSON schemas, prefix cache salted per tenant by the caller.

    Raises: ValueError when the socket's path is too long.
    """
    # Compact JSON: without this the small model spends its 40 tokens on blank lines inside the object.
    structured_outputs = {"backend": "xgrammar", "disable_any_whitespace": True}
    options = (
        *("--max-model-len", str(context_tokens), "--dtype", "bfloat16", "--max-num-seqs", "8"),
        *("--enable-prefix-caching", "--structured-outputs-config", json.dumps(structured_outputs)),
    )
    return _command("chat", environment, model, uds, cache, api_key, options, gpu=gpu, threads=threads, kv_cache_gib=kv_cache_gib)


def embedding_server_command(
    *,
    environment: Path,
    model: Path,
    uds: Path,
    cache: Path,
    api_key: str,
    gpu: bool = False,
    threads: int = 2,
    context_tokens: int = EMBEDDING_CONTEXT_TOKENS,
) -> ModelServerCommand:
    """Return the command of the embedding server: /v1/embeddings with normalized vectors of 384 dimensions.

    Raises: ValueError when the socket's path is too long.
    """
    options = ("--runner", "pooling", "--max-model-len", str(context_tokens), "--max-num-seqs", "16")
    return _command("embedding", environment, model, uds, cache, api_key, options, gpu=gpu, threads=threads, kv_cache_gib=1)


def _command(
    name: str,
    environment: Path,
    model: Path,
    uds: Path,
    cache: Path,
    api_key: str,
    options: tuple[str, ...],
    *,
    gpu: bool,
    threads: int,
    kv_cache_gib: int,
) -> ModelServerCommand:
    if len(bytes(uds)) > _SOCKET_PATH_MAX_BYTES:
        raise ValueError(f"the socket path {uds} is longer than {_SOCKET_PATH_MAX_BYTES} bytes; choose a shorter run folder")
    python = environment / "bin" / "python"
    server = (
        *("nice", "-n", _NICENESS, str(python), "-P", "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model), "--served-model-name", name, "--uds", str(uds)),
        *("--disable-uvicorn-access-log", "--enforce-eager"),
    )
    env = _base_env(cache, api_key)
    if not gpu:
        env |= _cpu_env(environment, threads=threads, kv_cache_gib=kv_cache_gib)
    return ModelServerCommand(
        name=name,
        argv=server + options,
        env=MappingProxyType(env),
        cwd=cache,
        uds=uds,
        served_model_name=name,
    )


def _base_env(cache: Path, api_key: str) -> dict[str, str]:
    """Keep the server offline, silent towards its makers, and its caches inside our folder."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(cache),
        "LANG": "C.UTF-8",
        "VLLM_API_KEY": api_key,
        "VLLM_CACHE_ROOT": str(cache / "vllm"),
        "VLLM_CONFIG_ROOT": str(cache / "vllm-config"),
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(_STARTUP_FOLDER),
        # A forked engine would not run sitecustomize.
        "VLLM_WORKER_MULTIPROCESSING_METHOD": "spawn",
        # One line for each change of state is enough; requests are logged by the gateway, masked.
        "VLLM_LOGGING_LEVEL": "INFO",
    }


def _cpu_env(environment: Path, *, threads: int, kv_cache_gib: int) -> dict[str, str]:
    """Settings that mattered when measured on two cores."""
    return {
        "VLLM_CPU_KVCACHE_SPACE": str(kv_cache_gib),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(threads),
        "LD_PRELOAD": str(environment / "lib" / "libiomp5.so"),
    }
