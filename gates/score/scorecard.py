"""The integer scorecard: bins of facts give points, points add up, the largest contributions are the reasons."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.canonical import digest_of
from domain.decision import ScoreResult
from domain.errors import SetupError

MAX_SCORE = 1000
MAX_REASONS = 4
DEFAULT_SCORECARD = Path(__file__).parent / "scorecards" / "refund.v1.json"
_Points = Annotated[int, Field(ge=-MAX_SCORE, le=MAX_SCORE)]


class InvalidScorecard(SetupError):
    """Say what in a scorecard file is wrong. Such a scorecard is never used."""

    code = "invalid_scorecard"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Bin(_Frozen):
    """Give `points` to values up to and including `up_to`; the last bin has no bound."""

    up_to: int | None
    points: _Points


class Characteristic(_Frozen):
    """Hold one fact's bins. A fact that we lack, or that is no integer, costs `missing_points`."""

    fact: str
    reason: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,60}$")]
    missing_points: Annotated[int, Field(ge=0, le=MAX_SCORE)]
    bins: Annotated[tuple[Bin, ...], Field(min_length=2)]


class _ScorecardFile(_Frozen):
    format: Literal["tellergate-scorecard/1"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z.-]{1,40}$")]
    base_points: _Points
    characteristics: Annotated[tuple[Characteristic, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class _Column:
    fact: str
    reason: str
    missing_points: int
    bounds: tuple[int, ...]
    points: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Hold a checked scorecard, ready to score. `ref` names it with its hash; `content` is the file as it was read."""

    ref: str
    base_points: int
    columns: tuple[_Column, ...]
    content: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


def load_scorecard(path: Path = DEFAULT_SCORECARD) -> Scorecard:
    """Read and check a scorecard file. Raises: InvalidScorecard."""
    try:
        return parse_scorecard(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeError) as error:
        raise InvalidScorecard(f"{path}: {error}") from error


def parse_scorecard(text: str, *, source: str) -> Scorecard:
    """Check a scorecard's JSON text; `source` is what an error names. Raises: InvalidScorecard."""
    try:
        card = _ScorecardFile.model_validate_json(text)
    except ValidationError as error:
        raise InvalidScorecard(f"{source}: {error.errors(include_url=False, include_input=False)}") from error
    facts = [characteristic.fact for characteristic in card.characteristics]
    if len(set(facts)) != len(facts):
        raise InvalidScorecard(f"{source}: a fact stands twice")
    content = json.loads(text)
    return Scorecard(
        ref=f"scorecard:{card.name}@{card.version}:{digest_of(content)}",
        base_points=card.base_points,
        columns=tuple(_to_column(source, characteristic) for characteristic in card.characteristics),
        content=content,
    )


def score_action(facts: Mapping[str, object], card: Scorecard) -> ScoreResult:
    """Score 0 (safe) to 1000 from integer facts; the reasons are the largest contributions, ties by name. Exact and pure."""
    total = card.base_points
    contributions: list[tuple[int, str]] = []
    for column in card.columns:
        value = facts.get(column.fact)
        points = column.points[bisect_left(column.bounds, value)] if type(value) is int else column.missing_points
        total += points
        if points > 0:
            contributions.append((-points, column.reason))
    contributions.sort()
    return ScoreResult(
        score=min(max(total, 0), MAX_SCORE),
        reason_codes=tuple(reason for _, reason in contributions[:MAX_REASONS]),
        model_ref=card.ref,
    )


def _to_column(place: str, characteristic: Characteristic) -> _Column:
    *bounded, last = characteristic.bins
    bounds = [bin_.up_to for bin_ in bounded if bin_.up_to is not None]
    if last.up_to is not None or len(bounds) != len(bounded) or bounds != sorted(set(bounds)):
        raise InvalidScorecard(f"{place}: the bins of {characteristic.fact} must rise and end with an open one")
    return _Column(
        fact=characteristic.fact,
        reason=characteristic.reason,
        missing_points=characteristic.missing_points,
        bounds=tuple(bounds),
        points=tuple(bin_.points for bin_ in characteristic.bins),
    )
