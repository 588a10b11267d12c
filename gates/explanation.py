"""The whole story of a decision, from the records alone: what was asked, proposed, known, decided, answered and done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict

from domain.decision import Decision, Outcome
from domain.errors import NotFound
from domain.ids import require_id
from gates.decision_store import find_event_id, read_decision_row
from gates.narration import write_lines
from gates.nearest import find_nearest_change
from gates.policy.active import PolicyShelf
from gates.reasons import SENTENCES
from gates.receipts.log_store import find_last_checkpoint
from ledger.transfer_digest import derive_transfer_id
from storage.events import find_event, find_placement
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "explanation.sql")
_NOT_RECORDED = "none recorded"


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MessageTold(_Told):
    """Hold what was asked, with every personal value masked, as the model saw it."""

    event_id: str | None
    message_id: str
    operator_id: str
    masked_text: str
    written_at: datetime


class PromptTold(_Told):
    """Hold what wrote the proposal. The prompt itself is kept nowhere: its hashes are."""

    prompt_id: str
    prompt_sha256: str
    masked_prompt_sha256: str
    model: str
    generated_by: str
    training_data_sha256: str


class ReasonTold(_Told):
    """Hold one reason with its sentence."""

    code: str
    outcome: Outcome
    policy_id: str
    sentence: str


class AnswerTold(_Told):
    """Hold what a person said to a review, and why."""

    decision_id: str
    review_id: str
    operator_id: str
    verdict: str
    reason: str
    answered_at: datetime
    required_approvals: int


class EffectTold(_Told):
    """Hold what was done about a decision. Amounts and accounts are None where no money is involved."""

    decision_id: str
    event_type: str
    done_at: datetime
    transfer_id: str | None
    amount_minor: int | None
    currency: str | None
    debit: str | None
    credit: str | None
    debit_balance_after_minor: int | None
    credit_balance_after_minor: int | None


class LogTold(_Told):
    """Hold where the decision stands in the signed log; None while it waits."""

    position: int | None
    tree_size: int | None


class Step(_Told):
    """Hold one decision of the chain."""

    decision_id: str
    outcome: Outcome
    reasons: tuple[ReasonTold, ...]
    decided_at: datetime
    policy_version: str
    policy_bundle_sha256: str


class Explanation(_Told):
    """Hold the story. `lines` says it in plain sentences; `nearest` says what would let it pass, for the operator's eyes only."""

    decision: Decision
    message: MessageTold | None
    prompt: PromptTold
    proposed: dict[str, Any]
    chain: tuple[Step, ...]
    answers: tuple[AnswerTold, ...]
    effects: tuple[EffectTold, ...]
    log: LogTold
    nearest: str | None
    lines: tuple[str, ...]


def explain_decision(connection: Connection[Any], decision_id: str, *, shelf: PolicyShelf) -> Explanation:
    """Tell the story of a decision and of its whole chain. Role gate. Raises: InvalidId, NotFound, NoUsablePolicy."""
    require_id(decision_id, "dec")
    chain = _read_chain(connection, decision_id)
    decision = next(one for one in chain if one.decision_id == decision_id)
    submitted = _read_submitted(connection, decision.proposal_id)
    answers = _read_answers(connection, [one.decision_id for one in chain])
    effects = tuple(effect for one in chain if (effect := _read_effect(connection, one)) is not None)
    nearest = find_nearest_change(decision, shelf.load(connection, decision.policy_bundle_sha256))
    told = Explanation(
        decision=decision,
        message=_read_message(connection, submitted),
        prompt=_read_prompt(connection, decision, submitted),
        proposed=dict(submitted.get("arguments", {})),
        chain=tuple(_tell_step(one) for one in chain),
        answers=answers,
        effects=effects,
        log=_read_log(connection, decision),
        nearest=None if nearest is None else nearest.sentence,
        lines=(),
    )
    return told.model_copy(update={"lines": write_lines(told)})


def _read_chain(connection: Connection[Any], decision_id: str) -> list[Decision]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_QUERIES["list_chain"], {"decision_id": decision_id}).fetchall()
    decisions = [read_decision_row(row).decision for row in rows]
    following = {decision.previous_decision_id: decision for decision in decisions}
    chain: list[Decision] = []
    step = following.get(None)
    while step is not None:
        chain.append(step)
        step = following.get(step.decision_id)
    if not chain:
        raise NotFound(f"no decision {decision_id}")
    return chain


def _read_submitted(connection: Connection[Any], proposal_id: str) -> dict[str, Any]:
    event_id = find_event_id(connection, subject=proposal_id, event_type="proposal.submitted")
    event = None if event_id is None else find_event(connection, event_id)
    return {} if event is None else dict(event.data)


def _read_message(connection: Connection[Any], submitted: Mapping[str, Any]) -> MessageTold | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_QUERIES["find_message"], {"message_id": submitted.get("message_id")}).fetchone()
    if row is None:
        return None
    return MessageTold(
        event_id=submitted.get("message_event_id"),
        message_id=str(submitted["message_id"]),
        operator_id=row["operator_id"],
        masked_text=row["masked_text"],
        written_at=row["created_at"],
    )


def _read_prompt(connection: Connection[Any], decision: Decision, submitted: Mapping[str, Any]) -> PromptTold:
    parameters = {"sha256s": [decision.score.model_ref.rpartition(":")[2]], "model": decision.model}
    rows = connection.execute(_QUERIES["find_training"], parameters).fetchall()
    return PromptTold(
        prompt_id=decision.prompt_id,
        prompt_sha256=decision.prompt_sha256,
        masked_prompt_sha256=str(submitted.get("masked_prompt_sha256", _NOT_RECORDED)),
        model=decision.model,
        generated_by=str(submitted.get("generated_by", _NOT_RECORDED)),
        training_data_sha256=", ".join(str(row[3]["training_data_sha256"]) for row in rows) or _NOT_RECORDED,
    )


def _read_answers(connection: Connection[Any], decision_ids: list[str]) -> tuple[AnswerTold, ...]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_QUERIES["list_answers"], {"decision_ids": decision_ids}).fetchall()
    return tuple(AnswerTold(**{("answered_at" if name == "created_at" else name): row[name] for name in row}) for row in rows)


def _read_effect(connection: Connection[Any], decision: Decision) -> EffectTold | None:
    # What is done without money has the id that its transfer would have.
    event = find_event(connection, f"evt_{derive_transfer_id(decision.decision_id).hex}")
    if event is None:
        return None
    data = event.data
    names = ("transfer_id", "debit", "credit", "debit_balance_after_minor", "credit_balance_after_minor")
    return EffectTold(
        decision_id=decision.decision_id,
        event_type=event.event_type,
        done_at=event.recorded_at,
        amount_minor=event.amount_minor if "transfer_id" in data else None,
        currency=event.currency if "transfer_id" in data else None,
        **{name: data.get(name) for name in names},
    )


def _read_log(connection: Connection[Any], decision: Decision) -> LogTold:
    event_id = find_event_id(connection, subject=decision.decision_id, event_type="gate.decided")
    placement = None if event_id is None else find_placement(connection, event_id)
    checkpoint = find_last_checkpoint(connection)
    return LogTold(
        position=None if placement is None else placement.position,
        tree_size=None if checkpoint is None else checkpoint.tree_size,
    )


def _tell_step(decision: Decision) -> Step:
    return Step(
        decision_id=decision.decision_id,
        outcome=decision.outcome,
        reasons=tuple(
            ReasonTold(
                code=reason.code,
                outcome=reason.outcome,
                policy_id=reason.policy_id,
                # A bundle may hold codes of its own.
                sentence=SENTENCES.get(reason.code, f"The rule {reason.policy_id} says {reason.code}."),
            )
            for reason in decision.reasons
        ),
        decided_at=decision.decided_at,
        policy_version=decision.policy_version,
        policy_bundle_sha256=decision.policy_bundle_sha256,
    )
