"""`python -m training.baselines --out DIR`: learn what is usual for customers and merchants, and measure what it flags later."""

from __future__ import annotations

import argparse
import json
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from demo.generator import DEFAULT_SEED
from domain.clock import render_time
from domain.errors import InvalidInput, TellergateError
from domain.label import LABEL_DELAY, Label
from gates.score.baselines import Baselines, Feature, Observation, TooLittleHistory, flag, learn_baselines
from training.artifact import Candidate, write_candidate
from training.records import Records, make_demo_records, read_folder
from training.score import DEFAULT_AS_OF
from training.split import find_frauds

BASELINE_KIND = "baseline"
CUSTOMER_FEATURES = (
    Feature(name="amount_minor", reason="above_usual_amount"),
    Feature(name="payments_1h_count", reason="more_in_an_hour_than_usual", floor=1),
    Feature(name="payments_24h_count", reason="more_in_a_day_than_usual", floor=1),
    Feature(name="payments_24h_minor", reason="much_more_in_a_day_than_usual"),
)
MERCHANT_FEATURES = (
    Feature(name="payments_1h_count", reason="burst_at_merchant", floor=1),
    Feature(name="declines_1h_count", reason="declines_at_merchant", floor=1),
    Feature(name="small_1h_count", reason="small_amounts_at_merchant", floor=1),
)
SMALL_AMOUNT_MINOR = 500
_LEARN_PERMILLE = 650
_HOUR, _DAY = timedelta(hours=1), timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Seen:
    """Hold one observation and the transaction that it is of."""

    transaction_id: str
    observation: Observation


@dataclass(slots=True)
class _Window:
    """Times and values of one entity's events so far."""

    times: list[datetime] = field(default_factory=list)
    values: list[int] = field(default_factory=list)

    def add(self, now: datetime, value: int) -> None:
        self.times.append(now)
        self.values.append(value)

    def since(self, now: datetime, length: timedelta) -> list[int]:
        return self.values[bisect_right(self.times, now - length) :]


def observe_customers(records: Records) -> Iterator[Seen]:
    """Yield each payment out of a customer's accounts in order of time, with how many and how much in the hour and the day."""
    customer_of = {row["account_id"]: row["customer_id"] for row in records.rows["accounts"]}
    windows: dict[tuple[str, str], _Window] = defaultdict(_Window)
    for row in records.rows["transactions"]:
        if row["kind"] not in {"card_payment", "transfer_out"}:
            continue
        now, currency = row["occurred_at"], row["currency"]
        entity = customer_of[row["account_id"]]
        window = windows[entity, currency]
        window.add(now, row["amount_minor"])
        in_a_day = window.since(now, _DAY)
        values = {
            "amount_minor": row["amount_minor"],
            "payments_1h_count": len(window.since(now, _HOUR)),
            "payments_24h_count": len(in_a_day),
            "payments_24h_minor": sum(in_a_day),
        }
        # What is usual in euros says nothing of yen: each of a customer's currencies has a baseline of its own.
        yield Seen(row["transaction_id"], Observation(f"{entity}:{currency}", currency, now, values))


def observe_merchants(records: Records) -> Iterator[Seen]:
    """Yield each attempt to pay by card in order of time, with what happened at its merchant within the hour."""
    windows: dict[str, dict[str, _Window]] = defaultdict(lambda: defaultdict(_Window))
    for row in records.rows["transactions"]:
        if row["kind"] != "card_payment":
            continue
        now, window = row["occurred_at"], windows[row["merchant_id"]]
        window["all"].add(now, 1)
        window["declined"].add(now, 1 if row["status"] == "declined" else 0)
        window["small"].add(now, 1 if row["amount_minor"] <= SMALL_AMOUNT_MINOR else 0)
        values = {
            "payments_1h_count": len(window["all"].since(now, _HOUR)),
            "declines_1h_count": sum(window["declined"].since(now, _HOUR)),
            "small_1h_count": sum(window["small"].since(now, _HOUR)),
        }
        yield Seen(row["transaction_id"], Observation(row["merchant_id"], row["currency"], now, values))


def make_baseline_candidates(records: Records, *, as_of: date) -> tuple[Candidate, ...]:
    """Learn from what was calm as far as was known at the split; measure on what came after. Raises: TooLittleHistory."""
    end = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)
    return tuple(_make(records, subject, features, tuple(observe(records)), end) for subject, features, observe in _SUBJECTS)


_SUBJECTS: tuple[tuple[str, tuple[Feature, ...], Callable[[Records], Iterator[Seen]]], ...] = (
    ("customer", CUSTOMER_FEATURES, observe_customers),
    ("merchant", MERCHANT_FEATURES, observe_merchants),
)


def _make(records: Records, subject: str, features: tuple[Feature, ...], seen: Sequence[Seen], as_of: datetime) -> Candidate:
    if not seen:
        raise TooLittleHistory(f"no payment of a {subject} in these records")
    first, last = seen[0].observation.occurred_at, seen[-1].observation.occurred_at
    span_minutes = (last - first) // timedelta(minutes=1)
    until = (first + timedelta(minutes=span_minutes * _LEARN_PERMILLE // 1_000)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    known = find_frauds(records.labels, known_by=until)
    # What is younger than a week could still turn out to be a fraud, so it is no calm history yet.
    calm = [
        item.observation
        for item in seen
        if item.transaction_id not in known and item.observation.occurred_at + LABEL_DELAY <= until
    ]
    learned = learn_baselines(subject, features, calm, until=until)
    lineage = {
        "source": records.source,
        "training_data_sha256": records.sha256,
        "until": render_time(until),
        "as_of": render_time(as_of),
        "label_delay_days": LABEL_DELAY.days,
        "after": measure_after(learned, seen, records.labels, until=until, as_of=as_of),
    }
    return Candidate(BASELINE_KIND, f"{subject}-baselines", f"{until:%Y%m%d}", learned.model_dump(mode="json"), lineage)


def measure_after(
    learned: Baselines, seen: Sequence[Seen], labels: Sequence[Label], *, until: datetime, as_of: datetime
) -> dict[str, Any]:
    """Count what is flagged of what came after and is old enough to be known: the calm in ten thousand, the frauds by pattern."""
    patterns = {label.subject_id: label.pattern for label in labels if label.pattern and label.subject_kind == "transaction"}
    frauds = find_frauds(labels, known_by=as_of)
    calm = flagged_calm = 0
    found: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    for item in seen:
        moment = item.observation.occurred_at
        if not (until <= moment and moment + LABEL_DELAY <= as_of):
            continue
        is_flagged = bool(flag(learned, item.observation))
        if item.transaction_id in frauds:
            pattern = str(patterns[item.transaction_id])
            found[pattern] += 1
            flagged[pattern] += is_flagged
        else:
            calm += 1
            flagged_calm += is_flagged
    return {
        "calm": calm,
        "calm_flagged_per_10k": flagged_calm * 10_000 // calm if calm else 0,
        "frauds": {pattern: {"count": found[pattern], "flagged": flagged[pattern]} for pattern in sorted(found)},
    }


def train_baselines(out: Path, *, as_of: date, records: Path | None = None) -> dict[str, Any]:
    """Learn, write the candidates and return the report. Raises: UnreadableRecords, TooLittleHistory, NotWritten."""
    held = read_folder(records) if records else make_demo_records(seed=DEFAULT_SEED, as_of=as_of)
    made = make_baseline_candidates(held, as_of=as_of)
    return {"source": held.source, "artifacts": [_report(out, candidate) for candidate in made]}


def _report(out: Path, candidate: Candidate) -> dict[str, Any]:
    content: Mapping[str, Any] = candidate.content
    return {
        "name": candidate.name,
        "file": write_candidate(out, candidate).name,
        "sha256": candidate.sha256,
        "state": "candidate",
        "until": content["until"],
        "flagged_per_10k": content["flagged_per_10k"],
        "features": {name: held["flagged_per_10k"] for name, held in content["thresholds"].items()},
        "after": candidate.lineage["after"],
    }


def main(arguments: list[str] | None = None) -> int:
    """Learn and print the report as JSON."""
    parser = argparse.ArgumentParser(prog="python -m training.baselines", description="Learn the baselines' candidates.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the artifacts")
    parser.add_argument(
        "--records", type=Path, default=None, help="folder of JSON lines as `ingest` takes them; default the demo"
    )
    parser.add_argument("--as-of", type=date.fromisoformat, default=DEFAULT_AS_OF, help="labels known later are not used")
    options = parser.parse_args(arguments)
    try:
        report = train_baselines(options.out, as_of=options.as_of, records=options.records)
    except TellergateError as error:
        sys.stderr.write(f"error: {error.message} [{error.code}]\n")
        return 2 if isinstance(error, InvalidInput) else 1
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
