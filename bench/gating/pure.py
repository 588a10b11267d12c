"""What a decision costs without a database: score, policy, the whole of it, a leaf of the log, a share of a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import gates.decide
from bench.report import Figure, percentile
from domain.canonical import canonical_bytes
from domain.decision import Decision
from domain.event import Event
from domain.ids import make_id
from domain.proposal import ActionKind
from gates.decide import DecisionInput, decide_action
from gates.examples import example_document
from gates.policy.bundle import PolicyBundle, load_bundle_directory
from gates.policy.evaluation import PolicyAnswer, PolicyRequest, check_policy
from gates.pure import decide_document
from gates.receipts.checkpoint import CheckpointSigner, sign_checkpoint
from gates.receipts.tree import NodeKey, append_leaves, hash_leaf, list_subtrees
from gates.replay.inputs import input_of
from gates.score.scorecard import Scorecard, load_scorecard, score_action

STARTER_DIR = Path(__file__).parents[2] / "gates" / "bundles" / "starter"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_BATCH = 16
# A log in the middle of its life: so many leaves that a batch meets a row of subtrees.
_LOG_SIZE = 1_000_003
_SCORES_A_TIME = 100
_EXPLAINED_AS = (
    "outcome", "reasons", "action", "action_digest", "origins", "facts_digest", "policy_bundle_sha256", "policy_version",
    "engine_version", "operator_id", "previous_decision_id", "approval_id",
)  # fmt: skip


@dataclass(slots=True)
class _PolicyTimer:
    """Stand before the policy's evaluation, where `decide_action` asks it, and note its thread's processor time."""

    spent_ns: list[int] = field(default_factory=list)

    def __call__(self, bundle: PolicyBundle, request: PolicyRequest) -> PolicyAnswer:
        started = time.thread_time_ns()
        answer = check_policy(bundle, request)
        self.spent_ns.append(time.thread_time_ns() - started)
        return answer


def measure_pure(repeats: int) -> list[Figure]:
    """Measure each piece `repeats` times for every kind of act: processor time of one thread, so other work counts little."""
    bundle, card = load_bundle_directory(STARTER_DIR), load_scorecard()
    decisions = decide_examples(bundle, card)
    requests = [input_of(decision) for decision in decisions]
    policy_ns, whole_ns = _time_decisions(requests, bundle, repeats)
    leaf_ns, record_ns, checkpoint_ns = _time_log([_make_event(decision) for decision in decisions], repeats)
    return [
        Figure("score_us_p50", _us(_time_scores(requests, card, repeats), 50), "us CPU", must=20),
        Figure("policy_cpu_us_p50", _us(policy_ns, 50), "us CPU", must=350),
        Figure("policy_cpu_us_p99", _us(policy_ns, 99), "us CPU"),
        Figure("decide_pure_us_p50", _us(whole_ns, 50), "us CPU"),
        Figure("leaf_us", round(_us(leaf_ns, 50) / _BATCH, 2), f"us CPU a leaf, batches of {_BATCH}", must=5),
        Figure("leaf_record_us", round(_us(record_ns, 50) / _BATCH, 2), "us CPU a leaf: from the event's row to its record"),
        Figure("checkpoint_us", round(_us(checkpoint_ns, 50) / _BATCH, 2), f"us CPU a leaf, batches of {_BATCH}", must=5),
    ]


def decide_examples(bundle: PolicyBundle, card: Scorecard) -> list[Decision]:
    """Decide the example document of every kind."""
    kinds = [kind for kind in ActionKind if kind is not ActionKind.UNLISTED]
    return [decide_document(example_document(kind), bundle=bundle, scorecard=card) for kind in kinds]


def _time_decisions(requests: Sequence[DecisionInput], bundle: PolicyBundle, repeats: int) -> tuple[list[int], list[int]]:
    timer = _PolicyTimer()
    whole_ns: list[int] = []
    with patch.object(gates.decide, "check_policy", timer):
        for _ in range(repeats):
            whole_ns += [_time_decision(request, bundle) for request in requests]
    return timer.spent_ns, whole_ns


def _time_scores(requests: Sequence[DecisionInput], card: Scorecard, repeats: int) -> list[int]:
    spent: list[int] = []
    for _ in range(repeats):
        for request in requests:
            started = time.thread_time_ns()
            for _ in range(_SCORES_A_TIME):
                score_action(request.facts, card)
            spent.append((time.thread_time_ns() - started) // _SCORES_A_TIME)
    return spent


def _time_log(events: Sequence[Event], repeats: int) -> tuple[list[int], list[int], list[int]]:
    """Time a batch of leaves, its records before, and its checkpoint; the events of all kinds in turn."""
    signer = CheckpointSigner(Ed25519PrivateKey.generate())
    nodes: dict[NodeKey, bytes] = dict.fromkeys(list_subtrees(0, _LOG_SIZE), b"\x01" * 32)
    batch = [events[number % len(events)] for number in range(_BATCH)]
    leaf_ns: list[int] = []
    record_ns: list[int] = []
    checkpoint_ns: list[int] = []
    for _ in range(repeats):
        started = time.thread_time_ns()
        records = [event.to_record() for event in batch]
        record_ns.append(time.thread_time_ns() - started)
        started = time.thread_time_ns()
        leaves = [hash_leaf(canonical_bytes(record)) for record in records]
        growth = append_leaves(_LOG_SIZE, nodes, leaves)
        leaf_ns.append(time.thread_time_ns() - started)
        started = time.thread_time_ns()
        sign_checkpoint(signer, tenant_id="bench", size=growth.size, root=growth.root)
        checkpoint_ns.append(time.thread_time_ns() - started)
    return leaf_ns, record_ns, checkpoint_ns


def _make_event(decision: Decision) -> Event:
    """Make an event as large as the one that tells of the decision."""
    record = decision.model_dump(mode="json")
    return Event(
        event_id=make_id("evt", decision.decided_at),
        event_type="gate.decided",
        source="gate",
        subject=decision.decision_id,
        tenant_id=decision.tenant_id,
        occurred_at=decision.decided_at,
        recorded_at=decision.decided_at,
        account_id=decision.action.account_id,
        idempotency_key=decision.decision_id,
        amount_minor=decision.action.amount_minor,
        currency=decision.action.currency,
        policy_decision=decision.outcome.value,
        policy_version=decision.policy_version,
        model_score_ref=decision.score.model_ref,
        data={name: record[name] for name in _EXPLAINED_AS} | {"proposal_digest": "0" * 64, "transfer_digest": "0" * 64},
    )


def _time_decision(request: DecisionInput, bundle: PolicyBundle) -> int:
    started = time.thread_time_ns()
    decide_action(request, bundle, now=NOW)
    return time.thread_time_ns() - started


def _us(spent_ns: Sequence[int], share_percent: int) -> float:
    return round(percentile(spent_ns, share_percent) / 1000, 2)
