"""Storms from seeds break nothing; a storm replays exactly; and a ledger that is broken in a storm is found out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest

from domain.transfer import ResultCode, TransferRequest, TransferResult
from ledger.memory import MemoryLedger
from tests.simulation.ledger.run import simulate

_ROOT = Path(__file__).resolve().parents[3]
_SEEDS = range(200)
_STEPS = 900
_PARTS = 4
_TENANT = "t-simulation"


@pytest.mark.parametrize("part", range(_PARTS))
def test_storms_break_nothing(part: int) -> None:
    runs = [simulate(seed, steps=_STEPS) for seed in _SEEDS if seed % _PARTS == part]
    assert {run.seed: run.breaches for run in runs if run.breaches} == {}
    # It was a storm, and things got done in it.
    assert sum(run.crashes for run in runs) > len(runs)
    assert sum(run.acknowledged for run in runs) > 20 * len(runs)
    assert sum(run.codes[ResultCode.ALREADY_ACCEPTED] for run in runs) > 10 * len(runs)
    assert sum(run.codes[ResultCode.DECISION_EXPIRED] for run in runs) > 0
    assert sum(run.codes[ResultCode.HOLD_EXPIRED] for run in runs) > 0


def test_a_seed_replays_exactly() -> None:
    first, again = simulate(7, steps=_STEPS), simulate(7, steps=_STEPS)
    assert first == again
    assert first.digest != simulate(8, steps=_STEPS).digest
    assert first.digest != simulate(7, steps=_STEPS - 300).digest


def test_a_seed_replays_exactly_in_another_process() -> None:
    command = (sys.executable, "-m", "tests.simulation.ledger", "--seed", "7", "--steps", str(_STEPS))
    for hash_seed in ("0", "12345"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120)
        assert done.stdout.splitlines()[-1] == simulate(7, steps=_STEPS).digest


class _Forgetting(MemoryLedger):
    """Answers one call in twenty as if it had been done, and has not."""

    calls = 0

    def apply(self, requests: Sequence[TransferRequest], *, now: datetime) -> list[TransferResult]:
        self.calls += 1
        if self.calls % 20 == 0:
            return self.fork().apply(requests, now=now)
        return super().apply(requests, now=now)


class _Doubling(MemoryLedger):
    """Takes a repetition for a new transfer."""

    doubles = 0

    def apply(self, requests: Sequence[TransferRequest], *, now: datetime) -> list[TransferResult]:
        results = super().apply(requests, now=now)
        for request, result in zip(requests, results, strict=True):
            if result.code is ResultCode.ALREADY_ACCEPTED and not request.linked:
                self.doubles += 1
                double = replace(request, transfer_id=UUID(int=self.doubles))
                self.authorize([double], valid_from=now, valid_until=now.replace(year=now.year + 1))
                super().apply([double], now=now)
        return results


class _Forgiving(MemoryLedger):
    """Lets an id that was refused try again."""

    def apply(self, requests: Sequence[TransferRequest], *, now: datetime) -> list[TransferResult]:
        results = super().apply(requests, now=now)
        self._state.refusals.clear()
        return results


class _Timeless(MemoryLedger):
    """Never looks at the time of a decision."""

    def apply(self, requests: Sequence[TransferRequest], *, now: datetime) -> list[TransferResult]:
        for authorization in self._state.authorizations.values():
            authorization.valid_from = now
            authorization.valid_until = now.replace(year=now.year + 1)
        return super().apply(requests, now=now)


class _Halving(MemoryLedger):
    """Loses the second half of what a call did, after it said that it was done: a crash without a log."""

    calls = 0

    def apply(self, requests: Sequence[TransferRequest], *, now: datetime) -> list[TransferResult]:
        self.calls += 1
        if self.calls % 10:
            return super().apply(requests, now=now)
        done = self.fork()
        half = len(requests) // 2
        super().apply(requests[:half], now=now)
        return done.apply(requests, now=now)


@pytest.mark.parametrize("ledger", [_Forgetting, _Doubling, _Forgiving, _Timeless, _Halving])
def test_a_broken_ledger_is_found_out(ledger: type[MemoryLedger]) -> None:
    found = [simulate(seed, steps=_STEPS, make_ledger=lambda: ledger(_TENANT)).breaches for seed in range(5)]
    assert any(found)
