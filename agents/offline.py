"""Which environment variables keep the libraries of the AI plane from reaching out when they are imported or used."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def offline_environment() -> Mapping[str, str]:
    """Return the variables; `serving.settings` gives them to every process."""
    return MappingProxyType(
        {
            # litellm (through guardrails) fetches a price list when it is imported.
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
            # guardrails: validate one by one, keep no history.
            "GUARDRAILS_RUN_SYNC": "true",
            "GUARD_HISTORY_ENABLED": "false",
            # langsmith (through langchain) traces to its makers when told so by a variable.
            "LANGSMITH_TRACING": "false",
            "LANGCHAIN_TRACING_V2": "false",
            # A checkpoint may hold plain data only; nothing in it is imported or called.
            "LANGGRAPH_STRICT_MSGPACK": "true",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "DO_NOT_TRACK": "1",
        }
    )
