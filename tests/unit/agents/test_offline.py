"""Importing and using the libraries of the AI plane opens no connection and looks no name up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import os, socket, sys
def refuse(*args, **kwargs):
    os.write(2, b"REACHED OUT " + repr(args[1:] if args else args).encode())
    os._exit(7)
socket.socket.connect = refuse
socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
socket.create_connection = refuse
{body}
"""
GUARD = """
from agents.output_checks.guard import load_guard
from agents.output_checks.rules import Evidence
guard = load_guard("support")
assert not guard.check("The refund will arrive tomorrow.", Evidence(claims=())).passed
assert sys.modules.get("nltk", 1) is not None
"""
RETRIEVAL = """
import retrieval.search, retrieval.ingestion
from retrieval.ingestion import Article, _run_pipeline, _to_document
from retrieval.vector_store import KnowledgeStore
from masking.text import masked_from_store
article = Article(article_id="a", title=masked_from_store("A"), body=masked_from_store("# A\\n\\nOne. Two."), source="x")
assert len(_run_pipeline(KnowledgeStore(), [_to_document(article)], {})) == 1
"""
GRAPH = """
import agents.support.turn, agents.checkpoints
from serving.vllm.client import VllmChat
from serving.vllm.endpoint import ModelEndpoint, open_http_client
from serving.vllm.embeddings import VllmEmbeddings
endpoint = ModelEndpoint("http://model/v1", "chat", "key")
VllmChat(endpoint, open_http_client(endpoint))
VllmEmbeddings(endpoint, name="x")
"""


@pytest.mark.parametrize("body", [GUARD, RETRIEVAL, GRAPH], ids=["guardrails", "llama-index", "langgraph and openai"])
@pytest.mark.parametrize("with_environment", [True, False], ids=["offline environment", "bare environment"])
def test_nothing_reaches_out(body: str, with_environment: bool) -> None:
    from agents.offline import offline_environment

    # litellm fetches its price list when no variable tells it not to: only the environment can stop that one.
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"}
    env |= offline_environment() if with_environment or body is GUARD else {}
    run = subprocess.run([sys.executable, "-c", PROGRAM.format(body=body)], env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
