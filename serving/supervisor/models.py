"""The two vLLM servers as parts, where their environment and models are there."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from serving.artifacts import CHAT, EMBEDDINGS, LANGUAGE_MODEL, key_of
from serving.launch import NamedModel
from serving.settings import ROOT_DIR, Settings
from serving.supervisor.parts import PartSpec, answers_http
from serving.supervisor.plan import Endpoints
from serving.vllm.endpoint import ModelEndpoint
from serving.vllm.server import ModelServerCommand, chat_server_command, embedding_server_command


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """Hold what to start and where it will answer."""

    specs: tuple[PartSpec, ...]
    endpoints: Endpoints


def plan_model_servers(settings: Settings, *, socket_dir: Path, artifacts: Collection[str]) -> ModelPlan:
    """Return the model servers to start; none without an environment for vLLM: then the templates speak.

    `artifacts` names what was admitted: weights that are not among it are not started.
    """
    environment = ROOT_DIR / ".venv-vllm"
    cache = settings.var_dir / "cache"
    chat_is_there = (environment / "bin" / "python").exists() and (settings.models_dir / "chat" / "config.json").exists()
    chat_may_start = chat_is_there and key_of(LANGUAGE_MODEL, CHAT) in artifacts
    if settings.vllm == "none" or not settings.with_model or not chat_may_start:
        return ModelPlan((), Endpoints(chat=None, embeddings=None))
    cache.mkdir(parents=True, exist_ok=True)
    key = secrets.token_hex(32)
    chat_command = chat_server_command(
        environment=environment,
        model=settings.models_dir / "chat",
        uds=socket_dir / "vllm-chat.sock",
        cache=cache,
        api_key=key,
        gpu=settings.vllm == "gpu",
    )
    specs = [_spec_of(settings, "vllm-chat", chat_command)]
    chat = _endpoint_of(settings, chat_command, key)
    embeddings = None
    embeddings_are_there = (settings.models_dir / "embedding" / "config.json").exists()
    if settings.with_embeddings and embeddings_are_there and key_of(LANGUAGE_MODEL, EMBEDDINGS) in artifacts:
        embedding_command = embedding_server_command(
            environment=environment,
            model=settings.models_dir / "embedding",
            uds=socket_dir / "vllm-embed.sock",
            cache=cache,
            api_key=key,
            gpu=settings.vllm == "gpu",
        )
        specs.append(_spec_of(settings, "vllm-embeddings", embedding_command))
        embeddings = _endpoint_of(settings, embedding_command, key)
    return ModelPlan(tuple(specs), Endpoints(chat=chat, embeddings=embeddings))


def _spec_of(settings: Settings, name: str, command: ModelServerCommand) -> PartSpec:
    # vLLM starts an engine process of its own; the guardian makes sure that it never outlives us.
    # Started by its path: our folders must not be importable from the model's environment.
    guardian = (sys.executable, "-P", str(ROOT_DIR / "serving" / "supervisor" / "guardian.py"))
    return PartSpec(
        name=name,
        argv=(*guardian, *command.argv),
        environment=command.env,
        log_file=settings.log_dir / f"{name}.log",
        is_ready=partial(answers_http, command.uds, "/health"),
        socket_path=command.uds,
    )


def _endpoint_of(settings: Settings, command: ModelServerCommand, key: str) -> NamedModel:
    endpoint = ModelEndpoint(
        base_url=command.base_url,
        served_model_name=command.served_model_name,
        api_key=key,
        uds=command.uds,
        health_url=command.health_url,
    )
    return NamedModel(model=read_model_name(settings.models_dir, command.name), endpoint=endpoint)


def read_model_name(models_dir: Path, part: str) -> str:
    """Return the name that records say, from the manifest that set-up wrote; the part's own name without one."""
    try:
        manifest = json.loads((models_dir / "manifest.json").read_text(encoding="utf-8"))
        return str(manifest[part]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return part
