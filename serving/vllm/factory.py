"""Put one chat endpoint behind its gateway."""

from __future__ import annotations

import time

from serving.vllm.admission import Admission
from serving.vllm.breaker import CircuitBreaker
from serving.vllm.client import VllmChat
from serving.vllm.endpoint import ModelEndpoint, open_http_client
from serving.vllm.gateway import ModelGateway
from serving.vllm.guarding import PromptGuard


def make_chat_gateway(endpoint: ModelEndpoint, *, name: str, guard: PromptGuard) -> ModelGateway:
    """Return the chat model of a process. `name` is what records say. Opens no connection yet."""
    return ModelGateway(
        VllmChat(endpoint, open_http_client(endpoint)),
        name=name,
        breaker=CircuitBreaker(monotonic=time.monotonic),
        admission=Admission(),
        monotonic=time.monotonic,
        guard=guard,
    )
