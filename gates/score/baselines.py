"""What is usual for one customer or merchant, learned from calm history, and what breaks from it. Robust, integer, pure.

The usual is a median, its spread a median distance from it: one outlier moves neither. A deviation is counted in thousandths of
the spread. The thresholds are integer quantiles, set so that a fixed share of calm observations is flagged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.canonical import digest_of
from domain.clock import render_time, require_utc
from domain.errors import InvalidInput, SetupError

TARGET_PER_10K = 100
"""Of so many in ten thousand calm observations one is flagged wrongly: one percent."""
MIN_OBSERVATIONS = 12
"""An entity with fewer is measured by its group: the others of its currency."""
NO_HISTORY = "no_history"
MAX_DEVIATION = 10**12
_LEARNING_THIRDS = 2


class TooLittleHistory(InvalidInput):
    """Say that there is not enough calm history to set a threshold by."""

    code = "too_little_history"


class InvalidBaselines(SetupError):
    """Say what in a file of baselines is wrong. Such a file is never used."""

    code = "invalid_baselines"


@dataclass(frozen=True, slots=True)
class Observation:
    """Hold what was seen of one entity at one time: integers by feature. The baseline of `group` stands in for a missing one."""

    entity: str
    group: str
    occurred_at: datetime
    values: Mapping[str, int]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Feature(_Frozen):
    """Name one feature, the reason that it gives, and the smallest spread that counts (for counts; amounts have 0)."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,60}$")]
    reason: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,60}$")]
    floor: Annotated[int, Field(ge=0)] = 0


class Usual(_Frozen):
    """Hold the median of a feature and its spread as a fraction of two integers."""

    median: int
    spread_numerator: Annotated[int, Field(gt=0)]
    spread_denominator: Annotated[int, Field(gt=0)]


class Threshold(_Frozen):
    """Hold from which deviation on a feature is flagged, and of how many calm observations in ten thousand it was."""

    above: int
    flagged_per_10k: int


class Baselines(_Frozen):
    """Hold everything that was learned. `flagged_per_10k` was measured over the observations that the thresholds are set by."""

    format: Literal["tellergate-baselines/1"] = "tellergate-baselines/1"
    subject: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    until: str
    target_per_10k: Annotated[int, Field(ge=1, le=5_000)]
    flagged_per_10k: int
    calm_count: int
    features: Annotated[tuple[Feature, ...], Field(min_length=1)]
    thresholds: dict[str, Threshold]
    entities: dict[str, dict[str, Usual]]
    groups: dict[str, dict[str, Usual]]

    @property
    def ref(self) -> str:
        """Name it with its hash."""
        return f"baselines:{self.subject}@{self.until}:{digest_of(self.model_dump(mode='json'))}"


def read_baselines(text: str | bytes) -> Baselines:
    """Read what `model_dump_json` wrote. Raises: InvalidBaselines."""
    try:
        baselines = Baselines.model_validate_json(text)
    except ValidationError as error:
        raise InvalidBaselines(f"{error.errors(include_url=False, include_input=False)}") from error
    names = {feature.name for feature in baselines.features}
    usuals = (*baselines.entities.values(), *baselines.groups.values())
    if set(baselines.thresholds) != names or any(set(usual) != names for usual in usuals):
        raise InvalidBaselines("a feature has no threshold or no usual")
    return baselines


def learn_baselines(
    subject: str,
    features: Sequence[Feature],
    calm: Sequence[Observation],
    *,
    until: datetime,
    target_per_10k: int = TARGET_PER_10K,
) -> Baselines:
    """Learn from the calm observations before `until`: what is usual from the first two thirds, the thresholds from the last.

    Raises: TooLittleHistory, NaiveTime.
    """
    limit = require_utc(until)
    history = sorted((item for item in calm if item.occurred_at < limit), key=lambda item: (item.occurred_at, item.entity))
    cut = len(history) * _LEARNING_THIRDS // 3
    learning, held_back = history[:cut], history[cut:]
    if not learning or len(held_back) * target_per_10k < 10_000:
        raise TooLittleHistory(
            f"{len(history)} calm observations before {render_time(limit)}: too few for {target_per_10k} in 10,000"
        )
    entities = _usuals(features, learning, by_entity=True)
    groups = _usuals(features, learning, by_entity=False)
    deviations = [_deviate(features, entities, groups, item) for item in held_back]
    measured = [row for row in deviations if row is not None]
    thresholds = _set_thresholds(features, measured, target_per_10k)
    flagged = sum(any(row[name] > above for name, above in thresholds.items()) for row in measured)
    return Baselines(
        subject=subject,
        until=render_time(limit),
        target_per_10k=target_per_10k,
        flagged_per_10k=flagged * 10_000 // len(measured),
        calm_count=len(measured),
        features=tuple(features),
        thresholds={
            name: Threshold(above=above, flagged_per_10k=sum(row[name] > above for row in measured) * 10_000 // len(measured))
            for name, above in thresholds.items()
        },
        entities=entities,
        groups=groups,
    )


def flag(baselines: Baselines, observation: Observation) -> tuple[str, ...]:
    """Return why this breaks from the usual, the strongest reason first; nothing when it does not.

    An entity that is not known is measured by its group; when that is unknown too, the reason is `no_history`.
    """
    deviations = _deviate(baselines.features, baselines.entities, baselines.groups, observation)
    if deviations is None:
        return (NO_HISTORY,)
    found = [
        (-(deviations[feature.name] - baselines.thresholds[feature.name].above), feature.reason)
        for feature in baselines.features
        if deviations[feature.name] > baselines.thresholds[feature.name].above
    ]
    return tuple(reason for _, reason in sorted(found))


def find_median(values: Sequence[int]) -> int:
    """Return the lower median: always one of the values, so that it scales as they do. Values must not be empty."""
    return sorted(values)[(len(values) - 1) // 2]


def measure_usual(values: Sequence[int], *, floor: int) -> Usual:
    """Return median and spread. Where more than half are equal, the mean distance stands in for the median one."""
    median = find_median(values)
    distances = [abs(value - median) for value in values]
    numerator, denominator = find_median(distances), 1
    if numerator == 0 and max(distances) > 0:
        numerator, denominator = sum(distances, 0), len(distances)
    if numerator == 0:
        numerator = abs(median)
    if numerator < floor * denominator or numerator == 0:
        numerator, denominator = max(floor, 1), 1
    return Usual(median=median, spread_numerator=numerator, spread_denominator=denominator)


def _usuals(features: Sequence[Feature], items: Sequence[Observation], *, by_entity: bool) -> dict[str, dict[str, Usual]]:
    gathered: dict[str, list[Observation]] = defaultdict(list)
    for item in items:
        gathered[item.entity if by_entity else item.group].append(item)
    return {
        name: {
            feature.name: measure_usual([item.values[feature.name] for item in found], floor=feature.floor)
            for feature in features
        }
        for name, found in sorted(gathered.items())
        if len(found) >= MIN_OBSERVATIONS
    }


def _deviate(
    features: Sequence[Feature],
    entities: Mapping[str, Mapping[str, Usual]],
    groups: Mapping[str, Mapping[str, Usual]],
    item: Observation,
) -> dict[str, int] | None:
    usual = entities.get(item.entity) or groups.get(item.group)
    if usual is None:
        return None
    return {feature.name: _deviation(usual[feature.name], item.values.get(feature.name)) for feature in features}


def _deviation(usual: Usual, value: object) -> int:
    """Return how far above the usual, in thousandths of the spread: 0 below it, the most for what is no integer."""
    if type(value) is not int:
        return MAX_DEVIATION
    above = max(0, value - usual.median) * 1_000 * usual.spread_denominator // usual.spread_numerator
    return min(above, MAX_DEVIATION)


def _set_thresholds(features: Sequence[Feature], measured: Sequence[Mapping[str, int]], target_per_10k: int) -> dict[str, int]:
    """Find the lowest thresholds, the same quantile for each feature, with which at most the target is flagged by any of them."""
    ranked = {feature.name: sorted((row[feature.name] for row in measured), reverse=True) for feature in features}
    allowed = len(measured) * target_per_10k // 10_000
    low, high = 0, allowed
    while low < high:
        middle = (low + high + 1) // 2
        tried = {name: values[middle] for name, values in ranked.items()}
        flagged = sum(any(row[name] > above for name, above in tried.items()) for row in measured)
        low, high = (middle, high) if flagged <= allowed else (low, middle - 1)
    return {name: values[low] for name, values in ranked.items()}
