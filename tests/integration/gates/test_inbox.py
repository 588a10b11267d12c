"""What the agents' credentials may write into the inbox, and what they may not."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from domain.decision import Outcome
from tests.integration.gates.desk import Desk

_COPY = (
    "INSERT INTO ai.proposals (tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace, submitted_at)"
    " SELECT tenant_id, 'prp_' || REVERSE(SUBSTR(proposal_id, 5)), conversation_id, message_id,"
    " COALESCE(%s, kind), COALESCE(%s::jsonb, arguments), COALESCE(%s::jsonb, trace), COALESCE(%s::timestamptz, submitted_at)"
    " FROM ai.proposals WHERE proposal_id = %s"
)
_ENDLESS = '"' + "x" * 70_000 + '"'


@pytest.fixture
def proposal_id(desk: Desk) -> str:
    return desk.propose(desk.add_turn([desk.add_charge()]))


@pytest.mark.parametrize("submitted_at", ["infinity", "-infinity", "4000-01-01 BC", "200000-01-01", "1999-12-31", "2200-01-01"])
def test_a_time_that_no_program_reads_stays_out(desk: Desk, proposal_id: str, submitted_at: str) -> None:
    # One such row would stop every reader: the gate could not decide it, and the console could not show its conversation.
    with pytest.raises(psycopg.errors.CheckViolation):
        desk.role("ai").execute(_COPY, [None, None, None, submitted_at, proposal_id])


@pytest.mark.parametrize(
    "what", [("k" * 101, None, None), (None, _ENDLESS, None), (None, None, _ENDLESS)], ids=["kind", "arguments", "trace"]
)
def test_what_is_endless_stays_out(desk: Desk, proposal_id: str, what: tuple[Any, ...]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        desk.role("ai").execute(_COPY, [*what, None, proposal_id])


def test_the_servers_own_stamp_is_the_servers(desk: Desk, proposal_id: str) -> None:
    # With a stamp of its own choice a row could hide from the sweeper.
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        desk.role("ai").execute(
            "INSERT INTO ai.proposals (tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace, submitted_at,"
            " recorded_at) SELECT tenant_id, 'prp_' || REVERSE(SUBSTR(proposal_id, 5)), conversation_id, message_id, kind,"
            " arguments, trace, submitted_at, '-infinity' FROM ai.proposals WHERE proposal_id = %s",
            [proposal_id],
        )


@pytest.mark.parametrize(
    ("kind", "trace"),
    [
        ("refund\n\x1b[31m", None),
        ("payment", None),
        ("unlisted", None),
        ("k" * 100, None),
        ("refund", "null"),
        ("refund", '{"prompt_id": "p"}'),
        ("refund", '"' + "y" * 60_000 + '"'),
    ],
)
def test_odd_kinds_and_traces_are_denied(desk: Desk, proposal_id: str, kind: str, trace: str | None) -> None:
    desk.role("ai").execute(_COPY, [kind, None, trace, None, proposal_id])
    assert desk.decide("prp_" + proposal_id[4:][::-1]).outcome is Outcome.DENY
