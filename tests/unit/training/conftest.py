"""One demo tenant and what is learned from it, for all tests of training: it takes some seconds to make."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from demo.generator import DEFAULT_SEED
from training.artifact import Candidate
from training.records import Records, make_demo_records
from training.rows import TrainingRow, make_payment_rows
from training.score import DEFAULT_AS_OF, make_candidates

END = datetime(DEFAULT_AS_OF.year, DEFAULT_AS_OF.month, DEFAULT_AS_OF.day, tzinfo=UTC)
SEED = 5


@pytest.fixture(scope="session")
def records() -> Records:
    return make_demo_records(seed=DEFAULT_SEED, as_of=DEFAULT_AS_OF)


@pytest.fixture(scope="session")
def rows(records: Records) -> tuple[TrainingRow, ...]:
    return make_payment_rows(records)


@pytest.fixture(scope="session")
def candidates(records: Records) -> tuple[Candidate, ...]:
    return make_candidates(records, seed=SEED, as_of=DEFAULT_AS_OF)
