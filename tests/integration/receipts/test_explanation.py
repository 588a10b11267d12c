"""The story of a decision, told from the records of the real gate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from domain.decision import Decision
from domain.errors import NotFound
from domain.ids import InvalidId, make_id
from gates.explanation import Explanation, explain_decision
from gates.holding import recheck_holds
from gates.reasons import SENTENCES
from gates.receipts.sequencing import sequence_events
from ledger.results import ExecutionCode
from storage.pools import open_pool
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.gates.desk import Desk
from tests.integration.gates.desk_records import ACCOUNT, ADA, CLEO
from tests.unit.receipts.paper_log import SIGNER


@pytest.fixture
def desk(database: Database, tenant: Tenant, conn_as: ConnAs) -> Iterator[Desk]:
    """An open desk of the real gate."""
    gate = open_pool(database.dsn("gate"), name="explain-gate", max_size=3)
    executor = open_pool(database.dsn("executor"), name="explain-executor", max_size=1)
    yield Desk(tenant, conn_as, gate, executor).open()
    gate.close()
    executor.close()


def _explain(desk: Desk, decision: Decision) -> Explanation:
    return explain_decision(desk.role("gate"), decision.decision_id, shelf=desk.rules.shelf)


def _decide(desk: Desk, amount_minor: int) -> Decision:
    turn = desk.add_turn([desk.add_charge(amount_minor), desk.add_charge(amount_minor, minutes=1)])
    return desk.decide_refund(turn, amount_minor=amount_minor)


def test_the_story_of_an_approved_refund(desk: Desk) -> None:
    reviewed = _decide(desk, 45_000)
    waiting = _explain(desk, reviewed)
    assert waiting.nearest == "It would pass if one more person approved it."
    assert waiting.lines[-3:-1] == ("Nothing was done.", waiting.nearest)
    allowed = desk.answer(reviewed, CLEO)
    assert desk.execute(allowed).code is ExecutionCode.POSTED
    while sequence_events(desk.gate_pool, desk.scope.context, SIGNER, now=desk.now).events:
        pass
    told = _explain(desk, allowed)
    assert told.message is not None
    assert (told.message.operator_id, told.message.masked_text) == (ADA, "charged twice?")
    assert told.proposed == {"transaction": "T1", "amount_minor": 45_000, "currency": "EUR", "reason_code": "duplicate_charge"}
    assert (told.prompt.prompt_id, told.prompt.training_data_sha256) == ("refund@1", "none recorded")
    assert [step.outcome.value for step in told.chain] == ["review", "allow"]
    assert [(answer.operator_id, answer.verdict, answer.reason) for answer in told.answers] == [(CLEO, "approve", "read it")]
    (effect,) = told.effects
    assert (effect.amount_minor, effect.credit, effect.decision_id) == (45_000, f"customer:{ACCOUNT}", allowed.decision_id)
    assert told.log.position is not None
    assert told.nearest is None
    story = "\n".join(told.lines)
    for sentence in (SENTENCES["above_operator_limit"], "opr_cleo approved it", "balances after it (rolled up) and 45000"):
        assert sentence in story, story
    assert _explain(desk, reviewed).chain == told.chain


def test_a_denied_and_a_malformed_proposal(desk: Desk) -> None:
    stranger = desk.decide_refund(desk.add_turn([], outside=["txn_x"]), transaction="X1")
    told = _explain(desk, stranger)
    assert (told.nearest, told.effects) == (None, ())
    assert SENTENCES["transaction_not_granted"] in "\n".join(told.lines)
    malformed = desk.decide(desk.propose(desk.add_turn([]), arguments={"amount_minor": "1e9"}))
    assert "(nothing that can be read)" in "\n".join(_explain(desk, malformed).lines)


def test_a_hold_and_what_ended_it(desk: Desk) -> None:
    jobs = desk.role("jobs")
    jobs.execute("UPDATE core.accounts SET status = 'blocked' WHERE account_id = %s", [ACCOUNT])
    held = _decide(desk, 1290)
    desk.execute(held)
    jobs.execute("UPDATE core.accounts SET status = 'active' WHERE account_id = %s", [ACCOUNT])
    (allowed,) = recheck_holds(desk.scope, desk.rules, now=desk.now + timedelta(seconds=30), limit=5)
    desk.execute(allowed, now=desk.now + timedelta(seconds=31))
    told = _explain(desk, held)
    assert [effect.event_type for effect in told.effects] == ["ledger.hold_placed", "ledger.hold_posted"]
    story = "\n".join(told.lines)
    assert "It was set aside: 1290 minor units" in story
    assert "It was posted what was set aside" in story


def test_what_is_not_there_is_said(desk: Desk) -> None:
    gate = desk.role("gate")
    with pytest.raises(NotFound):
        explain_decision(gate, make_id("dec", desk.now), shelf=desk.rules.shelf)
    with pytest.raises(InvalidId):
        explain_decision(gate, "dec_x", shelf=desk.rules.shelf)


def test_nothing_that_explains_reaches_the_agents(desk: Desk) -> None:
    """The agents learn the outcome and no rule, reason, fact, score or nearest change."""
    decision = _decide(desk, 45_000)
    columns = desk.role("ai").execute("SELECT * FROM ai.decisions")
    names = {column.name for column in columns.description or ()}
    row = columns.fetchone()
    assert row is not None
    assert names.isdisjoint({"reasons", "facts", "score", "origins", "score_reasons", "policy_version"})
    text = " ".join(map(str, row))
    assert decision.outcome.value in text
    assert not [code for code in SENTENCES if code in text]
