"""`python -m training.score --out DIR --seed N`: fit scorecard and trees for payments from the labels of the past."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from demo.generator import DEFAULT_SEED
from domain.canonical import canonical_bytes, digest_of
from domain.clock import render_time
from domain.errors import InvalidInput, TellergateError
from domain.label import LABEL_DELAY
from gates.score.model import ScoreModel, load_model, score_facts
from training.artifact import Candidate, write_candidate
from training.exact import lowest_threshold
from training.metrics import measure
from training.records import Records, make_demo_records, read_folder
from training.rows import PAYMENT_FACTS, TrainingRow, make_payment_rows
from training.scorecard_fit import CALM_ALERTS_PER_10K, fit_scorecard
from training.split import Side, Split, pick_split, split_by_time
from training.tree_fit import fit_trees

DEFAULT_AS_OF = date(2026, 11, 1)
"""Up to when the demo's past is known. Fixed, so that the command gives the same bytes on any day."""
SCORE_KIND = "score"
_TRAIN_PERMILLE = 650


@dataclass(frozen=True, slots=True)
class TrainingOrder:
    """Say what to learn from. Without a folder of records it is the demo tenant of `demo_seed`; `seed` is the training's own."""

    out: Path
    seed: int
    as_of: date = DEFAULT_AS_OF
    records: Path | None = None
    demo_seed: int = DEFAULT_SEED


def train_score(order: TrainingOrder) -> dict[str, Any]:
    """Train, write the candidates and return the report. The same order gives the same bytes.

    Raises: UnreadableRecords, NothingToLearn, NotWritten.
    """
    records = read_folder(order.records) if order.records else make_demo_records(seed=order.demo_seed, as_of=order.as_of)
    candidates = make_candidates(records, seed=order.seed, as_of=order.as_of)
    made = [
        {
            "name": candidate.name,
            "file": write_candidate(order.out, candidate).name,
            "sha256": candidate.sha256,
            "state": "candidate",
            "train": candidate.lineage["train"],
            "validation": candidate.lineage["validation"],
        }
        for candidate in candidates
    ]
    return {"source": records.source, "split_at": candidates[0].lineage["split_at"], "artifacts": made}


def make_candidates(records: Records, *, seed: int, as_of: date) -> tuple[Candidate, ...]:
    """Fit both models on what was known at the split, and measure them on what came after. Raises: NothingToLearn."""
    rows = make_payment_rows(records)
    end = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)
    split = split_by_time(rows, records.labels, split_at=pick_split(rows, train_permille=_TRAIN_PERMILLE), as_of=end)
    version = f"{split.split_at:%Y%m%d}.{seed}"
    contents = (
        fit_scorecard(split.train, name="payment", version=version),
        fit_trees(split.train, seed=seed, name="payment", version=version),
    )
    return tuple(
        Candidate(
            kind=SCORE_KIND,
            name=content["name"],
            version=version,
            content=content,
            lineage=_lineage(records, rows, split, seed, end) | _measure(content, split),
        )
        for content in contents
    )


def _lineage(records: Records, rows: Sequence[TrainingRow], split: Split, seed: int, as_of: datetime) -> dict[str, Any]:
    return {
        "source": records.source,
        "training_data_sha256": records.sha256,
        "rows_sha256": digest_of([[row.transaction_id, render_time(row.occurred_at), list(row.facts)] for row in rows]),
        "labels_known_at_split_sha256": digest_of(
            sorted(row.transaction_id for row, fraud in zip(split.train.rows, split.train.is_fraud, strict=True) if fraud)
        ),
        "facts": [name for name, _ in PAYMENT_FACTS],
        "seed": seed,
        "label_delay_days": LABEL_DELAY.days,
        "train_from": render_time(split.train.rows[0].occurred_at),
        "train_until": render_time(split.split_at - LABEL_DELAY),
        "split_at": render_time(split.split_at),
        "as_of": render_time(as_of),
    }


def _measure(content: dict[str, Any], split: Split) -> dict[str, Any]:
    """Measure before and after the split, alerting from where one in a hundred calm rows before it does."""
    model = _load(content)
    before, after = (_score(model, side) for side in (split.train, split.validation))
    calm = [score for score, fraud in zip(before, split.train.is_fraud, strict=True) if not fraud]
    operating_point = lowest_threshold(calm, at_most_per_10k=CALM_ALERTS_PER_10K)
    return {
        "train": measure(before, split.train.is_fraud, operating_point=operating_point),
        "validation": measure(after, split.validation.is_fraud, operating_point=operating_point),
    }


def _load(content: dict[str, Any]) -> ScoreModel:
    """Read it as the gate will: what it would refuse is no candidate."""
    with tempfile.TemporaryDirectory(prefix="tellergate-training-") as folder:
        path = Path(folder).joinpath("model.json")
        path.write_bytes(canonical_bytes(content))
        return load_model(path)


def _score(model: ScoreModel, side: Side) -> list[int]:
    names = [name for name, _ in PAYMENT_FACTS]
    return [score_facts(dict(zip(names, row.facts, strict=True)), model).score for row in side.rows]


def main(arguments: list[str] | None = None) -> int:
    """Train and print the report as JSON."""
    parser = argparse.ArgumentParser(prog="python -m training.score", description="Fit the payment score's candidates.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the artifacts")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--records", type=Path, default=None, help="folder of JSON lines as `ingest` takes them; default the demo"
    )
    parser.add_argument("--as-of", type=date.fromisoformat, default=DEFAULT_AS_OF, help="labels known later are not used")
    options = parser.parse_args(arguments)
    try:
        report = train_score(TrainingOrder(options.out, options.seed, options.as_of, options.records))
    except TellergateError as error:
        sys.stderr.write(f"error: {error.message} [{error.code}]\n")
        return 2 if isinstance(error, InvalidInput) else 1
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
