"""One generated dataset for all tests of the generator: it takes two seconds to make."""

from __future__ import annotations

from datetime import date

import pytest

from demo.generator import DEFAULT_SEED, Dataset, generate

AS_OF = date(2026, 11, 1)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return generate(seed=DEFAULT_SEED, as_of=AS_OF)
