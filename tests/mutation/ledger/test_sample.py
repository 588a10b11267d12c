"""Every fault still fits the functions as they stand, and a few of them are planted in each run."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

from tests.conftest import Cluster
from tests.mutation.ledger.faults import FAULTS, SAMPLE
from tests.mutation.ledger.planting import BY_NAME, plant
from tests.mutation.ledger.running import run_fault


def test_each_fault_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(FAULTS) >= 20
    assert set(SAMPLE) <= set(BY_NAME)


@pytest.mark.parametrize("name", list(BY_NAME))
def test_each_fault_fits(admin_conn: Connection[Any], name: str) -> None:
    with admin_conn.transaction(force_rollback=True):
        plant(admin_conn, BY_NAME[name])


@pytest.mark.parametrize("name", SAMPLE)
def test_a_planted_fault_turns_a_test_red(cluster: Cluster, name: str) -> None:
    outcome = run_fault(cluster.secrets_dir.parent, BY_NAME[name])
    assert outcome.is_noticed, outcome.log
