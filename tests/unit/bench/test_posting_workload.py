"""The requests that the bench asks for."""

from __future__ import annotations

from datetime import UTC, datetime

from bench.posting.workload import (
    FUNDS_MINOR,
    HOT_ACCOUNT,
    REJECT_EVERY,
    Mode,
    Slice,
    account_code,
    has_limit,
    id_at,
    make_opening_balances,
    make_requests,
)
from domain.transfer import TransferRequest

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def requests_of(mode: Mode, *, clients: int = 4, count: int = 500, base_ms: int = 1_770_000_000_000) -> list[TransferRequest]:
    return list(make_requests(Slice(mode, base_ms, 7_919, clients, count), at=AT))


def test_ids_are_once_each_and_between_the_ends_of_their_slice() -> None:
    part = Slice("random", 1_770_000_000_000, 1, 4, 500)
    ids = [request.transfer_id for request in make_requests(part, at=AT)]
    assert len(set(ids)) == 2_000
    assert id_at(part.base_ms, 0) <= min(ids)
    assert max(ids) < id_at(part.next_ms, 0)
    assert {one.version for one in ids} == {7}


def test_the_same_slice_gives_the_same_requests() -> None:
    assert requests_of("random") == requests_of("random")


def test_random_accounts_are_spread_and_never_the_same_twice() -> None:
    requests = requests_of("random")
    assert all(request.debit != request.credit for request in requests)
    assert len({request.debit for request in requests}) > 700


def test_one_side_is_hot() -> None:
    assert {request.credit for request in requests_of("hot")} == {HOT_ACCOUNT}


def test_one_in_a_hundred_asks_for_more_than_there_is_of_an_account_with_a_limit() -> None:
    requests = requests_of("reject", clients=1, count=8_000)
    over = [request for request in requests if request.amount_minor > FUNDS_MINOR]
    assert len(over) == 8_000 // REJECT_EVERY
    limited = {account_code(number) for number in range(1_000) if has_limit(number)}
    assert {request.debit for request in over} <= limited
    assert all(request.debit != request.credit for request in requests)


def test_accounts_with_a_limit_have_enough_for_every_reading() -> None:
    funded = make_opening_balances(1, at=AT)
    assert {request.credit for request in funded} == {account_code(number) for number in range(1_000) if has_limit(number)}
    assert len({request.transfer_id for request in funded}) == 500
