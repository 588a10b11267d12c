"""Lines of the agents process are hostile until read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.agents_client import AgentDone, AgentProposal, AgentQuestion, AgentSentence, AgentsFailed, read_event

PROPOSAL = "prp_" + "0" * 32


def _line(**body: Any) -> str:
    return json.dumps(body)


def test_the_known_events_are_read() -> None:
    sentence = {"text": "T1 is posted.", "generated_by": "model", "citations": [{"kind": "record", "ref": "T1", "title": "T1"}]}
    read = read_event(_line(type="sentence", sentence=sentence))
    assert isinstance(read, AgentSentence)
    assert read.sentence.citations[0].ref == "T1"
    assert read_event(_line(type="proposal", proposal_id=PROPOSAL)) == AgentProposal(PROPOSAL)
    assert read_event(_line(type="question", text="Which one?", handles=["T1"])) == AgentQuestion("Which one?")
    assert read_event(_line(type="done", message_state="complete", model="m")) == AgentDone("complete", "m")
    assert read_event(_line(type="done", message_state="odd", model="m")) == AgentDone("interrupted", "m")


def test_kinds_of_a_newer_process_are_passed_over() -> None:
    assert read_event(_line(type="thought", text="…")) is None
    assert read_event("  ") is None


@pytest.mark.parametrize(
    "line",
    [
        "{", "[]", "null", '"text"', _line(type="sentence"),
        _line(type="sentence", sentence={"text": "x", "generated_by": "human"}),
        _line(type="proposal", proposal_id="prp_1"), _line(type="proposal"), _line(type="question"),
        _line(type="sentence", sentence={"text": "x" * 70_000, "generated_by": "model"}),
        _line(type="error", code="model_down", message="no"),
    ],
)  # fmt: skip
def test_anything_else_ends_the_turn(line: str) -> None:
    with pytest.raises(AgentsFailed):
        read_event(line)


@given(st.text(max_size=300))
def test_no_line_does_worse_than_end_the_turn(line: str) -> None:
    try:
        read_event(line)
    except AgentsFailed:
        return
