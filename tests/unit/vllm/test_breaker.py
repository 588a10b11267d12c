from __future__ import annotations

import asyncio

import pytest

from agents.ports import ModelBusy
from serving.vllm.admission import Admission
from serving.vllm.breaker import CircuitBreaker


class Hands:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_opens_after_failures_in_a_row_and_one_probe_closes_it() -> None:
    clock = Hands()
    breaker = CircuitBreaker(monotonic=clock, failure_threshold=3, open_s=5)
    for _ in range(2):
        assert breaker.try_enter()
        breaker.fail()
    assert breaker.try_enter()
    breaker.succeed()
    for _ in range(3):
        assert breaker.try_enter()
        breaker.fail()
    assert breaker.state == "open"
    clock.now = 4.9
    assert not breaker.try_enter()
    clock.now = 5.0
    assert breaker.try_enter()
    assert breaker.state == "half_open"
    assert not breaker.try_enter(), "one probe at a time"
    breaker.succeed()
    assert breaker.state == "closed"


def test_a_failed_probe_opens_it_again_and_an_abandoned_one_frees_the_place() -> None:
    clock = Hands()
    breaker = CircuitBreaker(monotonic=clock, failure_threshold=1, open_s=5)
    assert breaker.try_enter()
    breaker.fail()
    clock.now = 6
    assert breaker.try_enter()
    breaker.fail()
    clock.now = 10
    assert not breaker.try_enter()
    clock.now = 11
    assert breaker.try_enter()
    breaker.abandon()
    assert breaker.try_enter()


async def test_no_tenant_fills_the_line_alone() -> None:
    admission = Admission(max_running=1, max_waiting_per_salt=2)
    async with admission.enter("a", timeout_s=1):
        waiting = [asyncio.create_task(_pass(admission, "a")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ModelBusy):
            await _pass(admission, "a")
        other = asyncio.create_task(_pass(admission, "b"))
        await asyncio.sleep(0)
    await asyncio.gather(*waiting, other)


async def test_waiting_is_bounded_and_leaves_no_trace() -> None:
    admission = Admission(max_running=1, max_waiting_per_salt=1)
    async with admission.enter("a", timeout_s=1):
        with pytest.raises(TimeoutError):
            await _pass(admission, "a", timeout_s=0.01)
        with pytest.raises(TimeoutError):
            await _pass(admission, "a", timeout_s=0.01)
    await _pass(admission, "a")


async def _pass(admission: Admission, salt: str, timeout_s: float = 1.0) -> None:
    async with admission.enter(salt, timeout_s=timeout_s):
        pass
