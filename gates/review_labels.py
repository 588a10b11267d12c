"""What reviews taught: verdicts as labels in one JSON schema, how often people overrule, how fast they answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from psycopg import Connection
from psycopg.rows import class_row, dict_row
from pydantic import BaseModel, ConfigDict, Field

from domain.decision import Reason, ScoreResult
from domain.proposal import ArgumentOrigin
from gates.review_store import QUERIES, ReviewState, Verdict

_PAGE = 500
_MAX_PACE = 500
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelledAction(_Wire):
    """Hold what was to be done. `amount_minor` is 0 and `currency` XXX where no money moves."""

    kind: str
    digest: _Sha256
    amount_minor: int
    currency: str


class LabelledPolicy(_Wire):
    """Name the bundle that asked for a person."""

    bundle_sha256: _Sha256
    version: str


class LabelledModel(_Wire):
    """Name what wrote the proposal."""

    model: str
    prompt_id: str
    prompt_sha256: str


class ReviewLabel(_Wire):
    """Hold one verdict of a person with everything he was shown, for evaluation and training. No free text of anybody.

    `context_digest` is what his approval was bound to beside the action. `rationale_sha256` is the hash of his words.
    `handled_s` is at most how long he had it before him, `group_size` how many alike were open. Null: not measured.
    """

    format: Literal["tellergate-label/1"] = "tellergate-label/1"
    approval_id: str
    review_id: str
    decision_id: str
    proposal_id: str
    context_digest: _Sha256
    action: LabelledAction
    facts: dict[str, bool | int | str | None]
    facts_digest: _Sha256
    origins: tuple[ArgumentOrigin, ...]
    score: ScoreResult
    reasons: tuple[Reason, ...]
    policy: LabelledPolicy
    proposed_by: LabelledModel
    asked_by: str
    opened_at: datetime
    verdict: Verdict
    rationale_sha256: _Sha256
    answered_by: str
    answered_at: datetime
    handled_s: int | None
    group_size: int | None
    review_state: ReviewState


@dataclass(frozen=True, slots=True)
class OverruleRate:
    """Hold how often people decided against a rule or a model. `permille` is of the answered reviews."""

    name: str
    version: str
    answered: int
    overruled: int

    @property
    def permille(self) -> int:
        """Return the share overruled, rounded down."""
        return self.overruled * 1000 // self.answered


@dataclass(frozen=True, slots=True)
class OverruleRates:
    """Hold both: a rule is overruled by an approval of what it stopped, a model by a refusal of what it proposed."""

    by_rule: tuple[OverruleRate, ...]
    by_model: tuple[OverruleRate, ...]


@dataclass(frozen=True, slots=True)
class Pace:
    """Hold how fast a person answered within an hour. Fast is under 5 s, bulk is 10 or more verdicts within 5 minutes."""

    operator_id: str
    hour: datetime
    verdicts: int
    approved: int
    median_handled_s: int | None
    fast: int
    most_within_5min: int
    is_bulk: bool


def measure_overrules(connection: Connection[Any]) -> OverruleRates:
    """Count closed reviews that people answered. Expired ones say nothing and stay out."""
    return OverruleRates(
        by_rule=tuple(OverruleRate(*row) for row in connection.execute(QUERIES["count_overruled_rules"])),
        by_model=tuple(OverruleRate(*row) for row in connection.execute(QUERIES["count_overruled_models"])),
    )


def list_pace(connection: Connection[Any], *, now: datetime, days: int = 7) -> tuple[Pace, ...]:
    """Return the pace of the last days, the latest hour first."""
    parameters = {"since": now - timedelta(days=days), "limit": _MAX_PACE}
    with connection.cursor(row_factory=class_row(Pace)) as cursor:
        return tuple(cursor.execute(QUERIES["list_pace"], parameters))


def list_labels(connection: Connection[Any], *, after: str = "", limit: int = _PAGE) -> list[ReviewLabel]:
    """Return verdicts as labels, in the order they were given.

    `after` is `approval_id` of the last label of the page before.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_label_of(row) for row in cursor.execute(QUERIES["list_outcomes"], {"after": after, "limit": limit})]


def _label_of(row: dict[str, Any]) -> ReviewLabel:
    return ReviewLabel.model_validate(
        {
            **{name: row[name] for name in ReviewLabel.model_fields.keys() & row.keys() if name != "score"},
            "context_digest": row["state_digest"],
            "action": {
                "kind": row["action_kind"],
                "digest": row["action_digest"],
                "amount_minor": row["amount_minor"],
                "currency": row["currency"],
            },
            "score": {"score": row["score"], "reason_codes": row["score_reasons"], "model_ref": row["score_ref"]},
            "policy": {"bundle_sha256": row["policy_bundle_sha256"], "version": row["policy_version"]},
            "proposed_by": {"model": row["model"], "prompt_id": row["prompt_id"], "prompt_sha256": row["prompt_sha256"]},
        }
    )
