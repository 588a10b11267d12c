"""A seeded sample of the attacks that the bench counts in full."""

from __future__ import annotations

from tests.property.receipts.mutations import count_undetected


def test_no_mutation_goes_undetected() -> None:
    undetected = count_undetected(seed=20260302, count=300)
    assert len(undetected) == 20
    assert {name: number for name, number in undetected.items() if number} == {}
