"""One run from one seed: a storm of so many steps, then calm until everyone knows, then the checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from domain.errors import Conflict
from ledger.memory import MemoryLedger
from ledger.port import Ledger
from tests.simulation.ledger.callers import ACCOUNTS, BANK, FEES, LOANS, PURSES, Book, Caller
from tests.simulation.ledger.checks import check_reader, find_breaches
from tests.simulation.ledger.weather import CALM, SECOND_US
from tests.simulation.ledger.world import Batcher, History, Store, World

_CALLERS = 8
_MAX_CALM_STEPS = 50_000


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it. `digest` is over everything that happened, in its order."""

    seed: int
    digest: str
    breaches: tuple[str, ...]
    acknowledged: int
    refused: int
    applied: int
    crashes: int
    codes: Counter[str]


def simulate(
    seed: int,
    *,
    steps: int,
    make_ledger: Callable[[], Ledger] = lambda: MemoryLedger("t-simulation"),
    listen: Callable[[str], None] | None = None,
) -> Run:
    """Run the storm of this seed. The same seed, steps and code give the same digest."""
    history = History(listen)
    world = World(Random(seed), history)
    store = Store(world, make_ledger())
    _open_accounts(store.ledger)
    batcher, book = Batcher(world, store), Book()
    seen: list[str] = []
    callers = [Caller(number, world, store, batcher, book) for number in range(_CALLERS)]
    for caller in callers:
        caller.start()
    _keep_house(world, store, seen)
    while world.steps < steps and world.step():
        pass
    world.weather, store.offset_us = CALM, 0
    for caller in callers:
        caller.is_stopping = True
    calm_steps = 0
    while book.open_units and calm_steps < _MAX_CALM_STEPS and world.step():
        calm_steps += 1
    breaches = [*seen, *find_breaches(store, book)]
    history.add(f"{world.now_us} end {breaches}")
    return Run(
        seed=seed,
        digest=history.digest(),
        breaches=tuple(breaches),
        acknowledged=len(book.acknowledged),
        refused=len(book.refused),
        applied=store.applied,
        crashes=batcher.crashes,
        codes=Counter(answer.code.value for answers in book.answers.values() for answer in answers),
    )


def _open_accounts(ledger: Ledger) -> None:
    for account in ACCOUNTS:
        ledger.open_account(
            account,
            "EUR",
            debits_must_not_exceed_credits=account in PURSES,
            credits_must_not_exceed_debits=account in LOANS,
            rolled_up=account in (BANK, FEES),
        )


def _keep_house(world: World, store: Store, seen: list[str]) -> None:
    """Now and then: expire, roll up, read, take a decision back, close or stop an account."""

    def look_after() -> None:
        choice = world.source.randrange(40)
        if choice < 12:
            count = store.ledger.expire_holds(now=store.now(), limit=world.source.choice([1, 1000]))
            world.history.add(f"{world.now_us} expired {count}")
        elif choice < 16:
            store.ledger.roll_up()
        elif choice < 18 and store.allowed:
            store.supersede(world.source.choice(list(store.allowed)))
        elif choice == 18 and world.source.randrange(6) == 0:
            _close_or_stop(world, store)
        else:
            seen.extend(check_reader(store.ledger))
        world.after(world.source.randrange(SECOND_US, 5 * SECOND_US), look_after)

    world.after(SECOND_US, look_after)


def _close_or_stop(world: World, store: Store) -> None:
    account = world.source.choice(ACCOUNTS[2:])
    if world.source.randrange(2):
        store.ledger.stop_account(account, "EUR")
        return
    try:
        store.ledger.close_account(account, "EUR")
    except Conflict:
        world.history.add(f"{world.now_us} {account} is in use")
