"""Killed at random moments, twenty times: no promise is broken. And each fault planted on purpose is found."""

from __future__ import annotations

import logging

import pytest

from bench.crash.kills import KILLS
from bench.crash.planted import FAULTS, Fault
from bench.crash.rounds import run_rounds

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quiet_pools() -> None:
    """Connections are lost on purpose here."""
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


def test_twenty_rounds_break_no_promise() -> None:
    report = run_rounds(20, seed=1)
    assert report.violations == dict.fromkeys(report.violations, 0), report.examples
    # It was a storm, and nobody was spared.
    assert set(report.kills) == set(KILLS)
    assert min(report.requests, report.transfers, report.refusals, report.events_placed, report.snapshots_read) > 100
    assert report.in_doubt > 0
    assert report.repeated_on_purpose > 0
    assert report.roll_ups > 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: Fault) -> None:
    report = run_rounds(20, seed=3, fault=fault)
    assert report.violation_count > 0
    assert report.examples
